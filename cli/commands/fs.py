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

    Either may be a path or a URL, or - for standard input and output. A DEST that ends with a slash, or is a folder of this
    machine, is one to put the file into; with --recursive it is the folder whose files become those of SRC. Missing folders are
    made. Hidden files in folders of this machine are left out.

    \b
    Examples:
      redun fs cp s3://bucket/reads.txt data/
      redun fs cp -r results gs://bucket/results
      redun fs cp https://example.org/index.html -
    """
    from redun.config import INI
    from redun.file import File, copy_file, get_proto
    from redun.scheduler_setup import use_boto_config

    session = current_session()
    folder = session.find_folder()
    if (folder / INI).exists():
        use_boto_config(session.load_config(folder))
    if not src or not dest:
        raise CommandError(f"cannot copy {src!r} to {dest!r}: an empty path names no file (standard input and output are -)")
    try:
        if src != "-" and (not recursive or dest != "-"):
            is_folder = File(src).isdir()
            if not recursive and is_folder and not File(src).isfile():
                raise CommandError(f"cannot copy {src!r}: it is a folder; give --recursive to copy all files below it")
            recursive = recursive and (is_folder or not File(src).isfile())
        if not recursive and src != "-" and (dest.endswith("/") or (get_proto(dest) == "local" and File(dest).isdir())):
            dest = f"{dest.rstrip('/')}/{File(src).basename()}"
        copy_file(src, dest, recursive=recursive)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CommandError(f"cannot copy {src!r} to {dest!r}: {error}") from error
    except (ValueError, NotImplementedError) as error:
        raise CommandError(f"cannot copy {src!r} to {dest!r}: {error}") from error
