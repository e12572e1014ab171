"""Tasks that many workflows need: copying files and folders, rendering templates, looking at a value in a debugger."""

from __future__ import annotations

import os
from typing import Any, TypeVar

from redun.evaluation.forms import Rewrite
from redun.file import Dir, File
from redun.forms import special_form
from redun.task import task

T = TypeVar("T")

__all__ = ["copy_dir", "copy_file", "copy_files", "debug_task", "render_template"]

_NAMESPACE = "redun"


@task(namespace=_NAMESPACE, version="1", config_args=["skip_if_exists"])
def copy_file(src_file: File, dest_path: str, skip_if_exists: bool = False) -> File:
    """Copy a file, between any two file systems, and return the copy.

    Args:
        skip_if_exists: leave a file that is there already as it is.
    """
    return src_file.copy_to(src_file.classes.File(dest_path), skip_if_exists=skip_if_exists)


@task(namespace=_NAMESPACE, version="1", config_args=["skip_if_exists", "copy_options"])
def copy_files(
    src_files: list[File],
    dest_paths: list[str],
    skip_if_exists: bool = False,
    copy_options: dict[str, Any] = {},  # noqa: B006
) -> list[File]:
    """Copy files, each by a job of its own, and return the copies.

    Args:
        dest_paths: where each goes; as many as files.
        skip_if_exists: leave files that are there already as they are.
        copy_options: task options of the jobs, such as `executor`.

    Raises:
        ValueError: there are more files than paths, or fewer.
    """
    if len(src_files) != len(dest_paths):
        raise ValueError(f"copy_files needs as many paths as files, found {len(src_files)} files and {len(dest_paths)} paths")
    copy = copy_file.options(**copy_options)
    return [copy(file, path, skip_if_exists=skip_if_exists) for file, path in zip(src_files, dest_paths, strict=True)]


@task(namespace=_NAMESPACE, version="1", config_args=["skip_if_exists", "copy_options"])
def copy_dir(
    src_dir: Dir,
    dest_path: str,
    skip_if_exists: bool = False,
    copy_options: dict[str, Any] = {},  # noqa: B006
) -> Dir:
    """Copy the files of a folder into another one, each by a job of its own, and return that folder.

    Args:
        skip_if_exists: leave files that are there already as they are.
        copy_options: task options of the jobs, such as `executor`.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    files = src_dir.files()
    if not files and not src_dir.exists():
        raise FileNotFoundError(2, "No such folder", src_dir.path)
    dest_dir = src_dir.classes.Dir(dest_path)
    dest_paths = [dest_dir.file(src_dir.rel_path(file.path)).path for file in files]
    copies = copy_files(files, dest_paths, skip_if_exists=skip_if_exists, copy_options=copy_options)
    made: Dir = _folder_with(copies, src_dir.classes.Dir, dest_path)
    return made


@special_form(Rewrite, _NAMESPACE)
def _folder_with(files: list[File], kind: type[Dir], path: str) -> Dir:
    """Return a folder once its files are there: looked at earlier, it would be an empty one."""
    folder = kind(path)
    if not files:
        folder.filesystem.mkdir(path)
    return folder


@task(namespace=_NAMESPACE, version="1")
def render_template(out_path: str, template: File, context: dict[str, Any], template_dir: str | None = None) -> File:
    """Render a Jinja2 template to a file and return that.

    Args:
        context: the template's variables.
        template_dir: where templates that it includes are; its own folder by default.

    Raises:
        ImportError: the package jinja2 is not installed.
        jinja2.TemplateError: the template, or one that it includes, is wrong or missing.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
    except ImportError:
        raise ImportError("render_template needs the package 'jinja2', which is not installed") from None
    folder = template_dir if template_dir is not None else os.path.dirname(template.path) or "."
    # The text of a template may be anything, HTML being one case of many: nothing is escaped unless the template says so.
    environment = Environment(loader=FileSystemLoader(folder), autoescape=False)
    text = environment.from_string(template.read()).render(**context)
    result = template.classes.File(out_path)
    result.write(text)
    return result


@task(namespace=_NAMESPACE, version="1", cache=False)
def debug_task(value: T) -> T:
    """Stop in the debugger, where `value` can be looked at, and go on with the value; run with one worker for a quiet terminal."""
    breakpoint()
    return value
