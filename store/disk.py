"""What can be wrong with a disk, in words; and whether it is a disk at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from redun.store.errors import StoreUnavailable

FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
"""Numbers of errors that say that there is no room."""

_FORBIDDEN = frozenset((errno.EACCES, errno.EPERM, errno.EROFS))
_PROBE_BYTES = 1 << 20

NETWORK_FILE_SYSTEMS = frozenset(
    (
        *("nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "davfs"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.beegfs", "fuse.rclone", "fuse.s3fs"),
    )
)


def error_code(error: BaseException) -> int:
    """Return the system's number of an error, 0 if it has none (py-lmdb before 2 names the reason only in its text)."""
    for name in ("errno", "code"):
        code = getattr(error, name, None)
        if isinstance(code, int) and code > 0:
            return code
    text = str(error)
    return next((code for code in sorted(errno.errorcode, reverse=True) if text.endswith(os.strerror(code))), 0)


def is_readonly_error(error: BaseException) -> bool:
    """Tell whether an error says that a place may be read but not written."""
    return error_code(error) in _FORBIDDEN


def free_bytes(folder: Path) -> int | None:
    """Return how much can still be written below a folder, None if nobody can tell."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize


def sync_folder(folder: Path) -> None:
    """Make what was created, renamed and removed in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def without_room(error: Exception, folder: Path, wanted_bytes: int) -> Exception:
    """Return what an input/output error of LMDB really was: it reports one too when a full disk, a quota or a limit cut a write.

    Args:
        error: as LMDB raised it; any other than an input/output error is returned as it is.
        folder: the folder of `data.mdb`.
        wanted_bytes: about how much was to be written; so much is asked for, and given back.
    """
    if error_code(error) != errno.EIO:
        return error
    try:
        import tempfile

        with tempfile.TemporaryFile(dir=folder, prefix="probe-") as probe:
            os.posix_fallocate(probe.fileno(), os.stat(folder / "data.mdb").st_size, max(wanted_bytes, _PROBE_BYTES))
    except OSError as found:
        if found.errno in FULL:
            return found
    return error


def unavailable(action: str, place: Path, error: BaseException, wanted_bytes: int = 0) -> StoreUnavailable:
    """Make the error for a folder or file that cannot be used.

    Args:
        action: what was tried, like "write to store".
        place: the folder or file.
        error: what the system or LMDB reported.
        wanted_bytes: roughly how much was to be written, 0 if unknown.
    """
    code = error_code(error)
    reason = os.strerror(code) if code else str(error)
    free = free_bytes(place if place.is_dir() else place.parent)
    if code in FULL:
        facts = [] if free is None else [f"{_size(free)} free"]
        if wanted_bytes:
            facts.append(f"about {_size(wanted_bytes)} wanted")
        if code == errno.EDQUOT:
            facts.append("by the quota")
        reason += f" ({', '.join(facts)})" if facts else ""
        hint = "make room and run again; what was committed before is safe"
    elif code in _FORBIDDEN:
        reason += _owner(place)
        hint = "check its owner and permissions and whether its file system is mounted read-only, or choose another folder"
    elif code == errno.EIO:
        hint = (
            "the disk or its connection fails: check it (dmesg, smartctl); what was committed before is as safe as the disk is"
        )
    elif code in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
        hint = "something else has that name: move it away or choose another folder"
    else:
        hint = "check the folder and its disk"
    made = StoreUnavailable(f"cannot {action} {str(place)!r}: {reason[:1].lower()}{reason[1:]}: {hint}")
    made.errno = code or None
    return made


def _owner(place: Path) -> str:
    """Say whose a folder or file is, if it is somebody else's."""
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        owner = place.stat().st_uid
    except OSError:
        return ""
    return "" if owner == os.geteuid() else f" (it belongs to user {_user(owner)}, this is user {_user(os.geteuid())})"


def _user(number: int) -> str:
    import pwd

    try:
        return repr(pwd.getpwuid(number).pw_name)
    except KeyError:
        return str(number)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} KB"


def is_network(folder: Path) -> bool:
    """Tell whether a folder lies on a network file system, where locks and shared maps cannot be trusted."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return False
    return filesystem_type(os.path.realpath(folder), mounts) in NETWORK_FILE_SYSTEMS


def filesystem_type(path: str, mounts: list[str]) -> str:
    """Return the type of the file system that holds a path, "" if unknown.

    Args:
        path: absolute, without links.
        mounts: lines of /proc/self/mountinfo; of several mounts on one point the last one is seen.
    """
    best, kind = "", ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        parts = fields.split(" ")
        if len(parts) < 5 or not rest:
            continue
        point = _unescape(parts[4])
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    return kind


def _unescape(text: str) -> str:
    # The kernel writes blank, tab, newline and backslash in octal.
    for code in ("040", "011", "012", "134"):
        text = text.replace("\\" + code, chr(int(code, 8)))
    return text


def nobody_writes(path: Path) -> bool:
    """Tell whether no process can write a file: its file system is read-only, or nobody has permission to."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY) or not path.stat().st_mode & 0o222
    except OSError:
        return False
