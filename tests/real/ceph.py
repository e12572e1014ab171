"""A Ceph cluster of one monitor, one object store in memory and one gateway that speaks S3: a real server, with its own quirks.

Everything runs as processes of the test below one folder, on loopback, and is gone with it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

from servers import free_port

ACCESS_KEY, SECRET_KEY = "redun-test", "redun-test-secret"
_START_S = 90

_CONF = """[global]
fsid = {fsid}
mon host = 127.0.0.1:{mon_port}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
mon allow pool size one = true
mon warn on pool no redundancy = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
osd crush chooseleaf type = 0
osd max object name len = 1024
osd max object namespace len = 64
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
ms bind ipv6 = false
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = {folder}/keyring
[mon.a]
host = localhost
mon data = {folder}/mon
mon addr = 127.0.0.1:{mon_port}
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.admin]
rgw frontends = beast endpoint=127.0.0.1:{rgw_port}
rgw data = {folder}/rgw
"""


@contextlib.contextmanager
def ceph_gateway(folder: Path) -> Iterator[str]:
    """Run a cluster; yield the URL of its gateway, which knows one user with the keys above.

    Args:
        folder: an empty one; its path must be short, as sockets lie in it.
    """
    mon_port, rgw_port = free_port(), free_port()
    for name in ("mon", "osd", "rgw"):
        (folder / name).mkdir()
    conf, keyring = str(folder / "ceph.conf"), str(folder / "keyring")
    fsid = str(uuid.uuid4())
    Path(conf).write_text(_CONF.format(fsid=fsid, mon_port=mon_port, rgw_port=rgw_port, folder=folder))
    environment = {**os.environ, "CEPH_CONF": conf}

    def run(*words: str) -> None:
        subprocess.run(words, env=environment, check=True, timeout=_START_S, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> None:
        with open(folder / f"{words[0]}.out", "wb") as out:
            started.append(subprocess.Popen(words, env=environment, stdout=out, stderr=out))

    try:
        run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        caps = ["--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *"]
        run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
        run("monmaptool", "--create", "--add", "a", f"127.0.0.1:{mon_port}", "--fsid", fsid, str(folder / "monmap"))
        run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", str(folder / "monmap"), "--keyring", keyring)
        start("ceph-mon", "-c", conf, "-i", "a", "-f")
        osd = str(uuid.uuid4())
        run("ceph", "-c", conf, "osd", "new", osd, "0")
        caps = ["mon", "allow profile osd", "osd", "allow *", "mgr", "allow *"]
        run("ceph", "-c", conf, "auth", "get-or-create", "osd.0", *caps, "-o", str(folder / "osd.key"))
        with open(keyring, "a") as file:
            file.write((folder / "osd.key").read_text())
        run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        start("ceph-osd", "-c", conf, "-i", "0", "-f", "--keyring", keyring)
        start("radosgw", "-c", conf, "-n", "client.admin", "-f", "--keyring", keyring)
        url = f"http://127.0.0.1:{rgw_port}"
        _wait(url, started)
        keys = [f"--access-key={ACCESS_KEY}", f"--secret-key={SECRET_KEY}"]
        run("radosgw-admin", "-c", conf, "user", "create", "--uid=test", "--display-name=test", *keys)
        yield url
    finally:
        for server in reversed(started):
            server.kill()
            server.wait()


def _wait(url: str, started: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert all(server.poll() is None for server in started), "a part of the cluster ended"
            assert time.monotonic() < deadline, "the gateway does not answer"
            time.sleep(0.2)
