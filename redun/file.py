"""Files as values: what a workflow reads and writes, so that a change is noticed and a result that is gone is made again.

    File      one file: path, and a quick stamp of its state (size and time, or an object store's etag)
    FileSet   all files that match a pattern             Dir   all files below a folder
    Content*  the same, hashed by content                I*    the same, hashed by path only and always valid
    Staging*  a file or folder and its local copy, for `redun.scripting`

Paths without a protocol are local and served without any import; others go through fsspec, which is imported when first needed.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

from redun.files.errors import RedunFileNotFoundError, RedunOSError, RedunPermissionError
from redun.files.families import ContentFileClasses, FileClasses, IFileClasses
from redun.files.file import ContentFile, File, FileBase, IFile
from redun.files.fileset import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet
from redun.files.filesystem import (
    FileSystem,
    FileSystemError,
    get_filesystem,
    get_filesystem_class,
    get_proto,
    list_filesystems,
    register_filesystem,
)
from redun.files.staging import (
    ContentStagingDir,
    ContentStagingFile,
    IStagingDir,
    IStagingFile,
    Staging,
    StagingDir,
    StagingFile,
)

__all__ = [
    "File",
    "FileSet",
    "Dir",
    "ContentFile",
    "ContentFileSet",
    "ContentDir",
    "IFile",
    "IFileSet",
    "IDir",
    "Staging",
    "StagingFile",
    "StagingDir",
    "ContentStagingFile",
    "ContentStagingDir",
    "IStagingFile",
    "IStagingDir",
    "FileBase",
    "FileClasses",
    "ContentFileClasses",
    "IFileClasses",
    "FileSystem",
    "FileSystemError",
    "AzureBlobFileSystem",
    "FTPFileSystem",
    "FsspecFileSystem",
    "GSFileSystem",
    "HTTPFileSystem",
    "HTTPSFileSystem",
    "LocalFileSystem",
    "S3FileSystem",
    "ShardedS3Dataset",
    "RedunFileNotFoundError",
    "RedunOSError",
    "RedunPermissionError",
    "copy_file",
    "get_filesystem",
    "get_filesystem_class",
    "get_proto",
    "glob_file",
    "list_filesystems",
    "open_file",
    "register_filesystem",
]

if TYPE_CHECKING:
    from redun.files.azure import AzureBlobFileSystem as AzureBlobFileSystem
    from redun.files.dataset import ShardedS3Dataset as ShardedS3Dataset
    from redun.files.local import LocalFileSystem as LocalFileSystem
    from redun.files.remote import FsspecFileSystem as FsspecFileSystem
    from redun.files.remote import FTPFileSystem as FTPFileSystem
    from redun.files.remote import GSFileSystem as GSFileSystem
    from redun.files.remote import HTTPFileSystem as HTTPFileSystem
    from redun.files.remote import HTTPSFileSystem as HTTPSFileSystem
    from redun.files.s3 import S3FileSystem as S3FileSystem

# Names that are looked up in their module when first asked for, so that a workflow on local files pays for none of them.
_LATER = {
    "LocalFileSystem": "redun.files.local",
    "FsspecFileSystem": "redun.files.remote",
    "FTPFileSystem": "redun.files.remote",
    "GSFileSystem": "redun.files.remote",
    "HTTPFileSystem": "redun.files.remote",
    "HTTPSFileSystem": "redun.files.remote",
    "S3FileSystem": "redun.files.s3",
    "AzureBlobFileSystem": "redun.files.azure",
    "ShardedS3Dataset": "redun.files.dataset",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_LATER[name]), name)
    return found


def glob_file(pattern: str) -> list[str]:
    """List the files and folders that match a pattern, sorted."""
    return sorted(get_filesystem(url=pattern).glob(pattern))


def open_file(url: str, mode: str = "r", encoding: str | None = None, **kwargs: Any) -> IO[Any]:
    """Open a file of any file system."""
    return get_filesystem(url=url).open(url, mode, encoding=encoding, **kwargs)


def copy_file(src_path: str | None, dest_path: str | None, recursive: bool = False) -> None:
    """Copy a file, or with `recursive` a folder, between any two file systems.

    Args:
        src_path, dest_path: None (or `-`) stands for standard input and output.

    Raises:
        ValueError: both are None, or a folder should be copied from or to a stream.
        OSError: from reading or writing.
    """
    import shutil
    import sys

    src, dest = src_path or "-", dest_path or "-"
    if src == dest == "-":
        raise ValueError("at least one of source and destination must be a path")
    if recursive:
        if "-" in (src, dest):
            raise ValueError("a folder cannot be copied from standard input or to standard output")
        Dir(src).copy_to(Dir(dest))
    elif src == "-":
        with open_file(dest, "wb") as sink:
            shutil.copyfileobj(sys.stdin.buffer, sink)
    elif dest == "-":
        with open_file(src, "rb") as source:
            shutil.copyfileobj(source, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        File(src).copy_to(File(dest))
