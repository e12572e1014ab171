"""Shell commands that copy files, for scripts and for machines that run them."""

from __future__ import annotations

from shlex import quote

from redun.files.filesystem import get_proto

STDIO = "-"


def copy_command(src_path: str | None, dest_path: str | None, recursive: bool = False) -> str:
    """Return a command that copies a file, or with `recursive` what is in a folder.

    Args:
        src_path, dest_path: paths or URLs; None (or `-`) stands for standard input and output.

    Raises:
        ValueError: both are None, or a folder should be copied from or to a stream.
    """
    src, dest = src_path or STDIO, dest_path or STDIO
    if src == dest == STDIO:
        raise ValueError("at least one of source and destination must be a path")
    if recursive and STDIO in (src, dest):
        raise ValueError("a folder cannot be copied from standard input or to standard output")
    kinds = [_KINDS.get(get_proto(path)) for path in (src, dest) if path != STDIO]
    if set(kinds) == {"local"}:
        return _local(src, dest, recursive)
    if None in kinds or (recursive and {"s3", "gs"} <= set(kinds)):
        return f"redun fs cp{' --recursive' * recursive} {quote(src)} {quote(dest)}"
    if set(kinds) == {"s3", "gs"}:
        return f"({copy_command(src, STDIO)}) | ({copy_command(STDIO, dest)})"
    if "s3" in kinds:
        return f"aws s3 cp --no-progress{' --recursive' * recursive} {quote(src)} {quote(dest)}"
    return f"gsutil cp{' -r' * recursive} {quote(src)} {quote(dest)}"


# Protocols that a program of their own copies from and to.
_KINDS = {"local": "local", "s3": "s3", "gs": "gs", "gcs": "gs"}


def _local(src: str, dest: str, recursive: bool) -> str:
    if src == STDIO:
        return f"cat > {quote(dest)}"
    if dest == STDIO:
        return f"cat {word(src)}"
    if not recursive:
        return f"cp {word(src)} {word(dest)}"
    return f"cp -r {word(src)} {word(dest)}"


def word(path: str) -> str:
    """Return a local path as one word of a command, that no program takes for an option."""
    path = path[7:] if path.startswith("file://") else path
    return quote(f"./{path}" if path.startswith("-") else path)


def local_folder_copy(src: str, dest: str) -> str:
    """Return lines that make folder `dest` and copy into it what folder `src` holds; both are quoted words.

    A plain `cp -r`, which is what `copy_command` gives, would put a folder inside the destination if that exists already.
    """
    return f"mkdir -p {dest}\ncp -r {src}/. {dest}"
