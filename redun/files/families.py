"""The families of files: which classes belong together, so that the files of a `ContentDir` are `ContentFile`s and so on.

A user's own family is a subclass of `FileClasses` set as `classes` on each of its members.
"""

from __future__ import annotations

from redun.files.file import ContentFile, File, FileBase, IFile
from redun.files.fileset import ContentDir, ContentFileSet, Dir, FileSet, IDir, IFileSet
from redun.files.staging import (
    ContentStagingDir,
    ContentStagingFile,
    IStagingDir,
    IStagingFile,
    Staging,
    StagingDir,
    StagingFile,
)


class FileClasses:
    """Files that count as equal by path and stamp."""

    File: type[File] = File
    FileSet: type[FileSet] = FileSet
    Dir: type[Dir] = Dir
    StagingFile: type[StagingFile] = StagingFile
    StagingDir: type[StagingDir] = StagingDir


class ContentFileClasses(FileClasses):
    """Files that count as equal by path and content."""

    File = ContentFile
    FileSet = ContentFileSet
    Dir = ContentDir
    StagingFile = ContentStagingFile
    StagingDir = ContentStagingDir


class IFileClasses(FileClasses):
    """Files that count as equal by path, and never change."""

    File = IFile
    FileSet = IFileSet
    Dir = IDir
    StagingFile = IStagingFile
    StagingDir = IStagingDir


FileBase.classes = Staging.classes = FileClasses
for _family in (ContentFileClasses, IFileClasses):
    for _member in (_family.File, _family.FileSet, _family.Dir, _family.StagingFile, _family.StagingDir):
        _member.classes = _family
