"""Code packages: the files of a workflow in one archive, for commands and jobs that run where its folder is not.

A package is named after the hash of its bytes, and equal files make equal bytes, so that it is written once. What goes in is said by
`code_includes` and `code_excludes` of the executor's section: patterns for files below the working folder, `**/*.py` by default.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import shlex
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

from redun.file import File

DEFAULT_INCLUDES = ("**/*.py",)


def parse_code_package_config(config: Mapping[str, Any]) -> dict[str, Any] | bool:
    """Return the patterns of an executor's section, `{"includes": [...], "excludes": [...]}`; False for `code_package = false`.

    Raises:
        ValueError: `code_package` is neither true nor false, or a quote is not closed.
    """
    wanted = str(config.get("code_package", "true")).strip().lower()
    if wanted in ("false", "no", "off", "0"):
        return False
    if wanted not in ("true", "yes", "on", "1"):
        raise ValueError(f"code_package must be true or false, found {config.get('code_package')!r}")
    includes = shlex.split(config.get("code_includes") or "")
    return {"includes": includes or list(DEFAULT_INCLUDES), "excludes": shlex.split(config.get("code_excludes") or "")}


def find_code_files(
    basedir: str = ".", includes: Iterable[str] | None = None, excludes: Iterable[str] | None = None
) -> list[str]:
    """List the files below a folder that fit one of `includes` and none of `excludes`, sorted; folders that begin with a dot are
    looked into only where a pattern names them."""

    def found(patterns: Iterable[str]) -> set[str]:
        return {path for pattern in patterns for path in glob.glob(os.path.join(basedir, pattern), recursive=True)}

    files = found(DEFAULT_INCLUDES if includes is None else includes) - found(excludes or ())
    return sorted([path for path in files if os.path.isfile(path)])


def create_tar(tar_path: str, file_paths: Iterable[str], arcname_prefix: str | None = None) -> File:
    """Write a `.tar.gz` of files under their own paths; who owns them and when they were packed is left out.

    Args:
        arcname_prefix: folder inside the archive to put them in.

    Raises:
        OSError: a file cannot be read, or the archive not be written.
    """

    def anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = int(member.mtime)
        return member

    archive = File(tar_path)
    with (
        archive.open("wb") as stream,
        gzip.GzipFile(fileobj=stream, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        for path in file_paths:
            tar.add(path, arcname=_arcname(path, arcname_prefix), filter=anonymous)
    return archive


def create_zip(zip_path: str, base_path: str, file_paths: Iterable[str], arcname_prefix: str | None = None) -> File:
    """Write a `.zip` of files under their paths relative to `base_path`; see `create_tar`."""
    archive = File(zip_path)
    with archive.open("wb") as stream, zipfile.ZipFile(stream, mode="w") as packed:
        for path in file_paths:
            packed.write(path, _arcname(os.path.relpath(path, base_path), arcname_prefix))
    return archive


def _arcname(path: str, prefix: str | None) -> str:
    return os.path.join(prefix, path) if prefix else path


def extract_tar(tar_file: File, dest_dir: str = ".") -> None:
    """Unpack a `.tar.gz` into a folder; nothing in it may leave the folder.

    Raises:
        OSError: it cannot be read.
        tarfile.TarError, EOFError, zlib.error: it is no such archive.
    """
    with tar_file.open("rb") as stream, tarfile.open(fileobj=stream, mode="r|*") as tar:
        tar.extractall(dest_dir, filter="data")


def package_code(
    scratch_prefix: str,
    code_package: Mapping[str, Any] | None = None,
    use_zip: bool = False,
    basename: str | None = None,
    arcname_prefix: str | None = None,
) -> File:
    """Write a package of the working folder's code below a scratch folder, unless it is there already.

    Args:
        scratch_prefix: folder or URL.
        code_package: patterns, as `parse_code_package_config` returns them.
        use_zip: a `.zip` rather than a `.tar.gz`.
        basename: of the package, instead of the hash of its bytes.

    Raises:
        OSError: a file cannot be read, or the package not be written.
    """
    patterns = code_package or {}
    files = find_code_files(includes=patterns.get("includes"), excludes=patterns.get("excludes"))
    ending = "zip" if use_zip else "tar.gz"
    with tempfile.TemporaryDirectory(prefix="redun-") as folder:
        local = os.path.join(folder, f"code.{ending}")
        if use_zip:
            create_zip(local, ".", files, arcname_prefix)
        else:
            create_tar(local, files, arcname_prefix)
        if basename is None:
            with open(local, "rb") as stream:
                basename = hashlib.sha256(stream.read()).hexdigest()[:40]
        package = File(f"{scratch_prefix.rstrip('/')}/code/{basename}.{ending}")
        if not package.exists():
            File(local).copy_to(package)
    return package
