# Start an S3 server (moto) on a free port of this machine for five minutes; aws.env says how to reach it.
port=$(python -c 'import socket; probe = socket.socket(); probe.bind(("127.0.0.1", 0)); print(probe.getsockname()[1])')
timeout 300 python -m moto.server -H 127.0.0.1 -p "$port" > server.log 2>&1 < /dev/null &
echo $! > server.pid
until (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do sleep 0.1; done
cat > aws.env <<END
export AWS_ENDPOINT_URL=http://127.0.0.1:$port
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1
END
. ./aws.env
python -c 'import boto3; boto3.client("s3").create_bucket(Bucket="weather")'
