"""Push and pull through a real S3 server, and what it says when it is asked wrongly."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from .ceph import ACCESS_KEY, SECRET_KEY, ceph_gateway

FLOW = """
from redun import task
redun_namespace = "ceph"

@task()
def part(i: int) -> bytes:
    return bytes([i]) * 100_000

@task()
def main() -> list:
    return [part(i) for i in range(20)]
"""


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="ceph-")
    try:
        with ceph_gateway(Path(folder)) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_results_travel(gateway: str, redun_environ: dict[str, str], tmp_path: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_DEFAULT_REGION": "us-east-1"}
    bucket = f"b{uuid.uuid4().hex[:12]}"
    client = boto3.session.Session(ACCESS_KEY, SECRET_KEY, region_name="us-east-1").client("s3", endpoint_url=gateway)
    client.create_bucket(Bucket=bucket)

    def redun(folder: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        environ = {**redun_environ, **keys, **env}
        return subprocess.run(
            ["redun", *words], cwd=tmp_path / folder, env=environ, capture_output=True, text=True, timeout=120
        )

    repo = ["repo", "add", "team", f"s3://{bucket}/r", "--endpoint-url", gateway, "--unquoted-etag", "--trust", "all"]
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flow.py").write_text(FLOW)
        assert redun(folder, "init").returncode == 0
        done = redun(folder, *repo)
        assert done.returncode == 0, done.stderr
    assert redun("a", "run", "flow.py", "main").returncode == 0
    assert redun("a", "push").returncode == 0
    done = redun("b", "run", "--remote", "team", "flow.py", "main")
    assert done.returncode == 0, done.stderr
    assert "Run    Job" not in done.stderr
    assert redun("b", "pull").returncode == 0
    for wrong in ({"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "nobody"}):
        denied = redun("b", "pull", **wrong)
        assert (denied.returncode, denied.stdout) == (1, "")
        assert len(denied.stderr.splitlines()) == 1, denied.stderr
        assert "wrong" not in denied.stderr.replace("wrong?", "")
    missing = redun("b", "push", f"s3://{bucket}-missing/r")
    assert missing.returncode == 1
    assert len(missing.stderr.splitlines()) == 1, missing.stderr
    assert redun("a", "fsck", "--remote", "team", "--full").returncode == 0
    assert redun("a", "gc", "--remote", "team", "--keep-last", "1").returncode == 0
