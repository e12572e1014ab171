"""Pages of a store's map, given back.

Whoever reads all of a database has all of it mapped in the end, and the system counts that as memory of the process, although it
could take it back at any time. A process that works in a limited amount of memory says itself which pages it is done with.
Nothing is lost by it: they are read again when touched. Where the system offers no way (not Linux), nothing happens.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

_DONTNEED = 4
_MOST_BYTES = 48 << 20


class Resident:
    """Keeps the mapped pages of one file few.

    Args:
        file: the mapped file.
        most_bytes: how many bytes of mapped files the process may show before pages are given back.
    """

    def __init__(self, file: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._file = file
        self._most_pages = most_bytes // os.sysconf("SC_PAGE_SIZE")
        self._advise: Callable[[int, int, int], int] | None = None
        self._can = True

    def trim(self) -> None:
        """Give pages back if there are many. 10 us where there are not."""
        if not self._can:
            return
        try:
            with open("/proc/self/statm", "rb", buffering=0) as file:
                shared = int(file.read(200).split()[2])
            if shared > self._most_pages:
                self._give_back()
        except (OSError, AttributeError, ValueError, IndexError):
            self._can = False

    def _give_back(self) -> None:
        if self._advise is None:
            self._advise = _madvise()
        # Looked up each time: a map that had to grow may be somewhere else, and this must not hit what is there now.
        for start, length in _ranges(os.path.realpath(self._file)):
            self._advise(start, length, _DONTNEED)


def _ranges(file: str) -> list[tuple[int, int]]:
    """List address and bytes of the maps of a file in this process that nothing can be written to."""
    found = []
    for line in Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines():
        # 7f2b4e000000-7f2b4f000000 r--s 00000000 fe:00 2146359    /path/data.mdb
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == file and fields[1].startswith("r--s"):
            start, _, end = fields[0].partition("-")
            found.append((int(start, 16), int(end, 16) - int(start, 16)))
    return found


def _madvise() -> Callable[[int, int, int], int]:
    import ctypes

    function = ctypes.CDLL(None, use_errno=True).madvise
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function
