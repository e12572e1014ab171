"""`redun fs`: files of every file system that workflows know; `cp` is what staged scripts call where no program of its own copies."""

from __future__ import annotations

import click

from redun.cli import completion
from redun.cli.errors import CommandError
from redun.cli.session import current_session


@click.group(name="fs", short_help="Copy files between any two file systems.")
def command() -> None:
    """Work with files of any file system: this machine, s3, gs, az, http(s), ftp, and what fsspec knows.

    \b
    Example:
      redun fs cp s3://bucket/reads.txt data/
    """


@command.command(name="cp", short_help="Copy a file or a folder.")
@click.argument("src", metavar="SRC", shell_complete=completion.files)
@click.argument("dest", metavar="DEST", shell_complete=completion.files)
@click.option("-r", "--recursive", is_flag=True, help="Copy all files below a folder.")
def cp(src: str, dest: str, recursive: bool) -> None:
    """Copy a file, or with --recursive what a folder holds, from SRC to DEST.

    Either may be a path or a URL, or - for standard input and output. A DEST that ends with a slash is a folder to copy into;
    missing folders are made.

    \b
    Examples:
      redun fs cp s3://bucket/reads.txt data/
      redun fs cp -r results gs://bucket/results
      redun fs cp https://example.org/index.html -
    """
    from redun.config import INI
    from redun.file import File, copy_file
    from redun.scheduler_setup import use_boto_config

    session = current_session()
    folder = session.find_folder()
    if (folder / INI).exists():
        use_boto_config(session.load_config(folder))
    if not src or not dest:
        raise CommandError(f"cannot copy {src!r} to {dest!r}: an empty path names no file (standard input and output are -)")
    try:
        if not recursive and src != "-" and File(src).isdir() and not File(src).isfile():
            raise CommandError(f"cannot copy {src!r}: it is a folder; give --recursive to copy all files below it")
        if not recursive and dest.endswith("/") and src != "-":
            dest += File(src).basename()
        copy_file(src, dest, recursive=recursive)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CommandError(f"cannot copy {src!r} to {dest!r}: {error}") from error
    except (ValueError, NotImplementedError) as error:
        raise CommandError(f"cannot copy {src!r} to {dest!r}: {error}") from error
