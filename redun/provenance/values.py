"""Looking into stored values without trusting or loading them: the seam between provenance and `redun.describe`.

The read side needs four things of a value: text for a person, the name of its type, the registered values inside it (so that
a File in a list is found) and, of those, what path a file has and what an error said. Small plain values, which are nearly
all arguments, are answered here without making a decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgpack

from redun.provenance.model import FailureInfo
from redun.store.errors import StoreError
from redun.store.ids import is_link, object_id, ref_id
from redun.store.objects import HEADER_BYTES, Codec, Flag, Kind, header

Get = Callable[[bytes], bytes]

_PLAIN = header(Kind.VALUE, Codec.MSGPACK)
_VALUE_EXT = 35  # redun.user_types.UserExt.VALUE; a test holds the two together
_MAX_SEARCHED = 16 << 20  # larger values are arrays and tables, not lists of files; looking inside would copy them
_ERROR_TYPE = "redun.ErrorValue"


# First bytes of msgpack's nil, booleans, numbers and strings.
_SCALARS = frozenset((*range(0x80), *range(0xA0, 0xC1), 0xC2, 0xC3, *range(0xCA, 0xD4), 0xD9, 0xDA, 0xDB, *range(0xE0, 0x100)))


def is_scalar(data: bytes) -> bool:
    """Tell from its bytes whether a plain object is nil, a bool, a small integer, a float or a string."""
    return len(data) > HEADER_BYTES and data[:HEADER_BYTES] == _PLAIN and data[HEADER_BYTES] in _SCALARS


class ValueReader:
    """Describes values of one store. For one thread at a time.

    Args:
        get: `Source.get`.
        is_foreign: tells of a ref whether its value came from somebody who is not trusted.
    """

    def __init__(self, get: Get, is_foreign: Callable[[bytes], bool] = lambda ref: False) -> None:
        self._get = get
        self.is_foreign = is_foreign
        self._texts: dict[bytes, str] = {}
        self._inside: dict[bytes, tuple[bytes, ...]] = {}

    def text(self, ref: bytes) -> str:
        """Return the value's repr, or what can be told of it. Never fails."""
        found = self._texts.get(ref)
        if found is None:
            found = self._text(ref)
            if len(self._texts) > 10_000:
                self._texts.clear()
            if len(found) < 1000:
                self._texts[ref] = found
        return found

    def _text(self, ref: bytes) -> str:
        if not is_link(ref) and is_scalar(ref):
            try:
                return repr(msgpack.unpackb(ref[HEADER_BYTES:], unicode_errors="surrogatepass"))
            except (ValueError, msgpack.UnpackException):
                pass
        from redun.describe import preview

        return preview(ref, self._get, trusted=not self.is_foreign(ref))

    def type_name(self, ref: bytes) -> str:
        """Return the name of the value's type, like `builtins.int` or `redun.File`; `?` if it is damaged or gone."""
        if not is_link(ref) and is_scalar(ref):
            try:
                return f"builtins.{type(msgpack.unpackb(ref[HEADER_BYTES:], unicode_errors='surrogatepass')).__name__}"
            except (ValueError, msgpack.UnpackException):
                return "?"
        from redun.describe import type_name

        return type_name(ref, self._get)

    def string(self, ref: bytes) -> str | None:
        """Return a value that is a string, None if it is something else or unreadable."""
        try:
            data = self._get(ref[1:]) if is_link(ref) else ref
            found = msgpack.unpackb(data[HEADER_BYTES:], unicode_errors="surrogatepass") if is_scalar(data) else None
        except (StoreError, ValueError, msgpack.UnpackException):
            return None
        return found if isinstance(found, str) else None

    def inside(self, ref: bytes) -> list[tuple[str, bytes]]:
        """List (type name, object bytes) of the registered values in a value, itself first if it is one."""
        try:
            data = self._get(ref[1:]) if is_link(ref) else ref
        except StoreError:
            return []
        return self.inside_object(data)

    def inside_object(self, data: bytes) -> list[tuple[str, bytes]]:
        """Like `inside`, from object bytes."""
        if len(data) < HEADER_BYTES or not data[3] & Flag.SUBVALUES or len(data) > _MAX_SEARCHED:
            return []
        whole = read_registered(data)
        if whole is not None and is_file(*whole):
            return [(whole[0], data)]
        from redun.describe import subvalues

        return subvalues(data, self._get)

    def holds(self, ref: bytes, value_id: bytes) -> bool:
        """Tell whether a value is, or holds as a registered value, the value of that 20-byte id."""
        if ref_id(ref) == value_id:
            return True
        if not is_link(ref) and not ref[3] & Flag.SUBVALUES:
            return False
        ids = self._inside.get(ref)
        if ids is None:
            ids = tuple({object_id(data) for _, data in self.inside(ref)})
            if len(self._inside) > 1000:
                self._inside.clear()
            self._inside[ref] = ids
        return value_id in ids

    def file_path(self, ref: bytes) -> str | None:
        """Return the path of a File value, None if it is something else."""
        try:
            data = self._get(ref[1:]) if is_link(ref) else ref
        except StoreError:
            return None
        found = read_registered(data)
        return None if found is None else path_of(*found)

    def names(self, ref: bytes) -> list[str]:
        """List under what names a value can be looked up: a file's path, a folder's, a set's pattern, a handle's name, ..."""
        try:
            data = self._get(ref[1:]) if is_link(ref) else ref
        except StoreError:
            return []
        found = read_registered(data)
        if found is None:
            return []
        path = path_of(*found)
        return [path] if path is not None else places_of(*found)

    def failure(self, ref: bytes) -> FailureInfo | None:
        """Return what an error value says, None if it is not one."""
        try:
            data = self._get(ref[1:]) if is_link(ref) else ref
        except StoreError:
            return None
        found = read_registered(data)
        if found is None or found[0] != _ERROR_TYPE or not isinstance(found[1], dict):
            return None
        state = found[1]
        lines = state.get("traceback") or []
        if isinstance(lines, str):
            lines = lines.splitlines()
        kept = [line for item in lines if isinstance(item, str) for line in item.rstrip("\n").split("\n")]
        return FailureInfo(str(state.get("type", "?")), str(state.get("message", "")), tuple(kept))


def read_registered(data: bytes) -> tuple[str, Any] | None:
    """Return type name and state of an object that is one registered value, or None. Parts of other types stay undecoded."""
    if (
        len(data) < HEADER_BYTES + 3
        or data[0] != Kind.VALUE
        or data[1] != Codec.MSGPACK
        or data[3] & (Flag.LINKS | Flag.EXPRESSION)
    ):
        return None
    if not data[3] & Flag.SUBVALUES:
        return None
    try:
        outer = msgpack.unpackb(memoryview(data)[HEADER_BYTES:], unicode_errors="surrogatepass", strict_map_key=False)
        if type(outer) is not msgpack.ExtType or outer.code != _VALUE_EXT:
            return None
        parts = msgpack.unpackb(outer.data, unicode_errors="surrogatepass", strict_map_key=False)
        return (parts[0], parts[1]) if type(parts[0]) is str else None
    except (ValueError, TypeError, LookupError, msgpack.UnpackException):
        return None


def is_file(type_name: str, state: Any) -> bool:
    """Tell whether a registered value stands for one file."""
    return path_of(type_name, state) is not None


_PLACES = frozenset(("redun.Dir", "redun.FileSet", "redun.ShardedS3Dataset"))
_LONGEST_PLACE = 4000


def places_of(type_name: str, state: Any) -> list[str]:
    """List under what names a registered value that is no file can be looked up, as a file is by its path.

    Folders and datasets: their path; sets of files: their pattern; handles: full and bare name, and texts given to the
    constructor that look like a path.
    """
    if not isinstance(state, dict):
        return []
    found: list[Any] = []
    if type_name.replace(".Content", ".").replace(".I", ".") in _PLACES:
        found = [state.get("path", state.get("pattern"))]
    elif {"name", "namespace", "call_hash", "class_name", "args", "kwargs"} <= state.keys():
        name, namespace = state["name"], state["namespace"]
        kwargs = state["kwargs"]
        given = [*_items(state["args"]), *(kwargs.values() if isinstance(kwargs, dict) else ())]
        found = [f"{namespace}.{name}" if namespace else name, name]
        found += [text for text in given if isinstance(text, str) and ("/" in text or "." in text)]
    return list(dict.fromkeys([text for text in found if isinstance(text, str) and 0 < len(text) <= _LONGEST_PLACE]))


def _items(packed: Any) -> list[Any]:
    """Return the items of a tuple as `read_registered` leaves it."""
    if type(packed) is not msgpack.ExtType:
        return []
    try:
        items = msgpack.unpackb(packed.data, unicode_errors="surrogatepass", strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException):
        return []
    return items if isinstance(items, list) else []


def path_of(type_name: str, state: Any) -> str | None:
    """Return the path of a registered value that stands for one file, else None.

    All of redun's own files (`redun.File`, `redun.ContentFile`, ...) keep their path in their state under that name.
    """
    if type_name.startswith("redun.") and type_name.endswith("File") and isinstance(state, dict):
        path = state.get("path")
        return path if isinstance(path, str) else None
    return None
