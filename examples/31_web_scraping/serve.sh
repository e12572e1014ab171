# Serve the folder `site` on a free port of this machine for five minutes, and say where in the file site.url.
port=$(python -c 'import socket; probe = socket.socket(); probe.bind(("127.0.0.1", 0)); print(probe.getsockname()[1])')
timeout 300 python -m http.server --bind 127.0.0.1 --directory site "$port" > server.log 2>&1 < /dev/null &
echo $! > server.pid
until (: < "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do sleep 0.1; done
echo "http://127.0.0.1:$port" > site.url
