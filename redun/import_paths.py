"""Folders that a workflow's modules are imported from, beside those of Python: for whoever must start workers that find them too."""

from __future__ import annotations

import sys

_paths: list[str] = []


def add_import_path(path: str) -> None:
    """Add a folder to those that modules are imported from; the last one added is looked into first."""
    if path not in _paths:
        _paths.insert(0, path)
    if path not in sys.path:
        sys.path.insert(0, path)


def get_import_paths() -> list[str]:
    """List the folders that were added, the last one first."""
    return list(_paths)


def clear_import_paths() -> None:
    """Forget which folders were added; they can be imported from as before."""
    _paths.clear()
