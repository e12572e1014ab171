"""Temporary files: in memory while they are small, without a name on disk then, so that nothing is left behind however we end."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, BinaryIO

IN_MEMORY_BYTES = 17 << 20


def spool(folder: Path | None = None, in_memory: int = IN_MEMORY_BYTES) -> BinaryIO:
    """Return a new temporary file.

    Args:
        folder: where it goes once it is large; where the system has such files by default.
        in_memory: bytes that are not large.
    """
    file: Any = tempfile.SpooledTemporaryFile(in_memory, dir=None if folder is None else str(folder))  # noqa: SIM115
    return file  # type: ignore[no-any-return]
