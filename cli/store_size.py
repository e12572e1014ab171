"""A word, at the end of a run, on a store that has grown beyond `[gc] warn_size`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from redun.cli.errors import warn
from redun.cli.render.words import size_text

if TYPE_CHECKING:
    from redun.config import Config
    from redun.store.repository import Store

_MARK = "warned"
_AGAIN_S = 24 * 3600.0


def hint(config: Config, store: Store) -> None:
    """Tell the user that the store is large, if it is, once a day. Costs a look at each file of it, and nothing where no size is set."""
    from redun.retention import warn_size

    limit = warn_size(config.get("gc"))
    if limit is None or store.folder is None or store.readonly:
        return
    mark = store.folder / _MARK
    try:
        if time.time() - os.stat(mark).st_mtime < _AGAIN_S:
            return
    except OSError:
        pass
    size = folder_bytes(store.folder)
    if size <= limit:
        return
    try:
        mark.touch()
    except OSError:
        return
    warn(
        f"store {str(store.folder)!r} has {size_text(size)}, more than warn_size = {size_text(limit)}: 'redun store info' shows what "
        "takes the room, 'redun gc' makes some"
    )


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files of a store."""
    total = 0
    pending = [str(folder)]
    while pending:
        try:
            entries = list(os.scandir(pending.pop()))
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
    return total
