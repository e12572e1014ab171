"""`data.mdb` written anew without its free pages: what gc freed goes back to the system.

It needs the store to itself, as the file is replaced by another one: byte 0 of `lock`, which everybody who has the store open holds
shared, is taken alone. Then the copy is written beside the old file, synced, and renamed over it. A process that dies leaves one of
the two files, whole; its copy is removed by the next one.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from redun.store.disk import free_bytes, sync_folder, unavailable
from redun.store.errors import StoreError, StoreLocked, StoreUnavailable

if TYPE_CHECKING:
    from redun.store.sources.environment import Environment

_PREFIX = "compact-"


def compact(environment: Environment) -> tuple[int, int]:
    """Replace the database of an open environment, which must be closed right after.

    Returns:
        bytes of the file before and after.

    Raises:
        StoreLocked: others have it open; names them.
        StoreUnavailable: there is no room for the copy, or it cannot be written.
    """
    folder = environment.folder
    if environment.readonly:
        raise StoreUnavailable(f"store {str(folder)!r} is open for reading only: it cannot be compacted")
    if environment.users > 1:
        raise StoreLocked(f"store {str(folder)!r} is open more than once in this process: close the others first")
    with environment.alone("be compacted"):
        for left in folder.glob(f"{_PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        if not environment.is_current():
            raise StoreLocked(f"store {str(folder)!r} has just been compacted by another process: nothing is left to do")
        before = os.stat(folder / "data.mdb").st_size
        wanted = environment.used_bytes()
        free = free_bytes(folder)
        if free is not None and free < wanted:
            raise StoreUnavailable(
                f"cannot compact store {str(folder)!r}: its copy needs about {wanted / 1e6:.1f} MB, {free / 1e6:.1f} MB are free: "
                "make room there first"
            )
        try:
            temporary = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
        except OSError as error:
            raise unavailable("compact store", folder, error, wanted) from error
        try:
            copy = temporary / "data.mdb"
            environment.copy(copy)
            os.chmod(copy, os.stat(folder / "data.mdb").st_mode & 0o777)
            os.rename(copy, folder / "data.mdb")
            sync_folder(folder)
        except OSError as error:
            if isinstance(error, StoreError):
                raise
            raise unavailable("compact store", folder, error, wanted) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return before, os.stat(folder / "data.mdb").st_size
