"""How files of this machine are told apart: by size and time, or by content.

By content if `[backend] capture_files` says so, for the whole process while such a run goes on: files are made and looked at in code that
knows no scheduler. A file that was recorded keeps its kind of stamp, which its length tells.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_CONTENT_DIGITS = 40

classes_captured = False
"""True once a class of files asks for its content to be kept (`FileBase.capture_files`)."""

_runs = 0
_here = threading.local()


def by_content() -> bool:
    """Tell whether stamps are taken of contents."""
    here: bool | None = getattr(_here, "content", None)
    return _runs > 0 if here is None else here


def is_of_content(stamp: str) -> bool:
    """Tell whether a stamp was taken of a content."""
    return len(stamp) == _CONTENT_DIGITS


@contextmanager
def counted_by_content(store: Any = None) -> Iterator[None]:
    """Have stamps taken of contents in a block, in all threads.

    Args:
        store: where digests of earlier runs are, and those of this one are kept.
    """
    global _runs
    _runs += 1
    try:
        if store is None:
            yield
        else:
            from redun.files import known_contents

            known_contents.load(store)
            yield
            known_contents.save(store)
    finally:
        _runs -= 1


@contextmanager
def taken_by(*, content: bool) -> Iterator[None]:
    """Have stamps taken of contents, or not, in a block of this thread."""
    before = getattr(_here, "content", None)
    _here.content = content
    try:
        yield
    finally:
        _here.content = before
