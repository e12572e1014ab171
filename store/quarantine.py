"""Damaged things set aside: `quarantine/` of a store, for whoever wants to see what happened to them.

Nothing is ever read back from there, and it may be emptied at any time. What does not fit does not get there: a run that heals
itself must not fail because the curious would like to see why.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_MOST_BYTES = 1 << 30
FOLDER = "quarantine"


class Quarantine:
    """The quarantine of a store.

    Args:
        store: the store's folder.
    """

    def __init__(self, store: Path) -> None:
        self.folder = store / FOLDER

    def keep(self, name: str, data: bytes) -> None:
        """Set bytes aside under a name; they are not synced, and left away if there is no room."""
        with contextlib.suppress(OSError):
            path = self._place(name)
            if path is not None:
                path.write_bytes(data)

    def take(self, name: str, path: Path) -> None:
        """Move a file here, or remove it if that cannot be done. A folder is moved, too."""
        with contextlib.suppress(OSError):
            place = self._place(name)
            if place is not None:
                os.rename(path, place)
                return
        with contextlib.suppress(OSError):
            os.unlink(path)

    def link(self, name: str, path: Path) -> None:
        """Keep a file here that is about to be replaced where it is.

        Raises:
            OSError: it cannot be kept; it is better not replaced then.
        """
        place = self._place(name, most_bytes=None)
        if place is not None:
            try:
                os.link(path, place)
            except OSError:
                import shutil

                shutil.copyfile(path, place)

    def _place(self, name: str, most_bytes: int | None = _MOST_BYTES) -> Path | None:
        self.folder.mkdir(exist_ok=True)
        held = sum(entry.stat(follow_symlinks=False).st_size for entry in os.scandir(self.folder))
        if most_bytes is not None and held > most_bytes:
            return None
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
        place = self.folder / f"{name}-{stamp}"
        number = 1
        while place.exists():
            number += 1
            place = self.folder / f"{name}-{stamp}-{number}"
        return place
