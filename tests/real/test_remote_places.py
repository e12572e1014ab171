"""The contract of places for remotes, on real servers: Ceph through boto3, Azurite through adlfs, OpenSSH through sshfs. `make test-real`
installs them.

A part that does not start is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import free_port

from redun.store.remote.backends.base import Backend
from redun.store.remote.backends.opening import open_backend

# The suite itself; its fixture `opened` is replaced by the one below.
from tests.contract.test_remote_backend import *  # noqa: F403

from .ceph import ACCESS_KEY, SECRET_KEY, ceph_gateway

ROOT = Path(__file__).resolve().parents[2]
# The account of every Azurite, stated in its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_START_S = 60


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    import socket

    deadline = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run Azurite; yield its connection string."""
    program = shutil.which("azurite-blob") or str(ROOT / ".real/node_modules/.bin/azurite-blob")
    port = free_port()
    folder = str(tmp_path_factory.mktemp("azurite"))
    words = [
        program,
        "--blobHost",
        "127.0.0.1",
        "--blobPort",
        str(port),
        "--skipApiVersionCheck",
        "--location",
        folder,
        "--silent",
    ]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        place = f"http://127.0.0.1:{port}/{ACCOUNT}"
        yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={place};"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Run an SSH server for this user; yield its port and the file of a key that it takes."""
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copy(folder / "user.pub", folder / "authorized")
    os.makedirs("/run/sshd", exist_ok=True)
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        f"StrictModes no\nPermitRootLogin yes\nPidFile {folder}/pid\nSubsystem sftp internal-sftp\n"
    )
    server = subprocess.Popen([shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-f", str(folder / "config")])
    try:
        wait_for(port, server)
        yield port, folder / "user"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def ceph() -> Iterator[str]:
    """Run a Ceph cluster; yield the URL of its gateway."""
    # Sockets lie in it, whose paths may not be long.
    folder = tempfile.mkdtemp(prefix="ceph-")
    try:
        with ceph_gateway(Path(folder)) as url:
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["ceph", "azurite", "sshfs"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Backend]:
    """Return a function that opens the same empty place again and again."""
    if request.param == "ceph":
        import boto3

        url = request.getfixturevalue("ceph")
        for name, text in (("ACCESS_KEY_ID", ACCESS_KEY), ("SECRET_ACCESS_KEY", SECRET_KEY), ("DEFAULT_REGION", "us-east-1")):
            monkeypatch.setenv(f"AWS_{name}", text)
        bucket = f"b{uuid.uuid4().hex[:12]}"
        boto3.session.Session().client("s3", endpoint_url=url).create_bucket(Bucket=bucket)
        return lambda: open_backend(f"s3://{bucket}/remote", {"endpoint_url": url, "unquoted_etag": "true"})
    if request.param == "azurite":
        from azure.storage.blob import BlobServiceClient

        text = request.getfixturevalue("azurite")
        container = f"c{uuid.uuid4().hex[:12]}"
        BlobServiceClient.from_connection_string(text).create_container(container)
        return lambda: open_backend(f"abfs://{container}/remote", storage_options={"connection_string": text})
    port, key = request.getfixturevalue("sshd")
    options = {"client_keys": [str(key)], "known_hosts": None, "username": "root" if os.geteuid() == 0 else os.environ["USER"]}
    return lambda: open_backend(f"ssh://127.0.0.1:{port}{tmp_path}/remote", storage_options=options)
