"""Who a store is: a random id of its own, in the file `identity` beside the database, made once.

Remotes note it with what is pushed, and where a place serves one writer only it says whose that is. A copy of a store's folder is the
same store.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from pathlib import Path

from redun.store.disk import is_readonly_error, unavailable
from redun.store.errors import StoreError
from redun.store.who import user_at_host

FILE = "identity"
_NOBODY = bytes(16)


def store_identity(folder: Path) -> bytes:
    """Return a store's id, 16 bytes; it is made if the store has none. Zeros for one that has none and cannot be written.

    Raises:
        StoreError: its file is damaged; StoreUnavailable: it cannot be read or written.
    """
    path = folder / FILE
    found = _read(path)
    if found is not None:
        return found
    body = {"id": uuid.uuid4().hex, "by": user_at_host(), "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    temporary = folder / f"{FILE}-{body['id']}"
    try:
        temporary.write_text(json.dumps(body) + "\n")
        try:
            # Others must see the whole file or none, and whose was first stays.
            os.link(temporary, path)
        except FileExistsError:
            pass
        except OSError:
            os.replace(temporary, path)
    except OSError as error:
        if is_readonly_error(error):
            return _NOBODY
        raise unavailable("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    found = _read(path)
    return found if found is not None else bytes.fromhex(body["id"])


def _read(path: Path) -> bytes | None:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unavailable("read", path, error) from error
    try:
        found = bytes.fromhex(json.loads(text)["id"])
        if len(found) != 16:
            raise ValueError("its id has another length")
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{str(path)!r} does not say which store this is ({error}): remove it, a new id is made then"
        ) from error
    return found
