"""What is said about disks, and which of them are networks."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from redun.store.disk import NETWORK_FILE_SYSTEMS, error_code, filesystem_type, is_readonly_error, unavailable

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
31 30 254:1 / /home/me/local rw,relatime - xfs /dev/vdb rw
32 27 0:41 / /mnt/with\040blank rw - cifs //server/share rw
33 27 0:42 / /data rw - ext4 /dev/vdc rw
34 33 0:43 / /data rw - fuse.sshfs host:/ rw
malformed line
""".strip().splitlines()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/tmp/x", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/me/local", "xfs"),
        ("/home/me/local/project/.redun", "xfs"),
        ("/home/me/localother", "nfs4"),
        ("/mnt/with blank/x", "cifs"),
        ("/mnt/with", "ext4"),
        ("/data/x", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_path(path, kind):
    assert filesystem_type(path, MOUNTS) == kind


def test_nothing_is_known_without_mounts():
    assert filesystem_type("/x", []) == ""


def test_network_file_systems_are_known():
    assert {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "fuse.sshfs",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "glusterfs",
        "afs",
    } <= NETWORK_FILE_SYSTEMS
    assert not {"ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "apfs", ""} & NETWORK_FILE_SYSTEMS


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_says_how_much_is_free_and_wanted(tmp_path, code):
    error = unavailable("write to store", tmp_path, OSError(code, os.strerror(code)), 5_000_000)
    message = str(error)
    assert message.startswith(f"cannot write to store {str(tmp_path)!r}: ")
    assert "free" in message
    assert "about 5.0 MB wanted" in message
    assert "make room" in message
    assert error.errno == code
    assert isinstance(error, OSError)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EROFS, "mounted read-only"),
        (errno.EACCES, "permissions"),
        (errno.EIO, "check it"),
        (errno.ENOTDIR, "move it away"),
    ],
)
def test_each_trouble_has_its_advice(tmp_path, code, advice):
    error = unavailable("open store", tmp_path / "gone", OSError(code, os.strerror(code)))
    assert advice in str(error)
    assert is_readonly_error(error) == (code in (errno.EROFS, errno.EACCES))


def test_an_error_without_a_number_is_shown_as_it_is():
    error = unavailable("open store", Path("/nowhere/at/all"), ValueError("strange"))
    assert "strange" in str(error)
    assert error.errno is None


def test_the_number_of_an_error_is_found_in_its_text():
    assert error_code(Exception("mdb_env_open: " + os.strerror(errno.EROFS))) == errno.EROFS
    assert error_code(OSError(errno.EIO, "x")) == errno.EIO
    assert error_code(Exception("whatever")) == 0
