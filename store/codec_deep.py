"""The codec without recursion and without msgpack's C packer: slower, but nothing escapes it.

`redun.store.codec` falls back to this module for values nested beyond the C stack and for what the C packer would write wrongly
(bytearray in a list, NaNs with odd bits). The bytes are the same; a property test holds the two together.

Containers become a rope: a list of byte strings and, for tuples and sets, whose header states their size, lists inside the list.
So nesting n levels deep costs O(n), not the O(n^2) of joining at every level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgpack

from redun.store import codec
from redun.store.codec import BYTES_PIECE, SETS, TEXT_PIECE, Spill, array_header, ext_header, join_sorted, map_header
from redun.store.errors import CyclicError, DecodeError, EncodeError
from redun.store.plain_types import Ext, Form, encode_float

_SCALARS = frozenset((type(None), bool, int, str, bytes))
_NATIVE_INT = range(-(1 << 63), 1 << 64)


class _Frame:
    """A container whose items are being encoded.

    Lists and dicts share the `parts` of what encloses them; extensions (`code` is set) collect their own, as their header states
    a size. A set has one part per item.
    """

    __slots__ = ("code", "container", "items", "parts")

    def __init__(self, items: Iterator[Any], parts: list[Any], code: int | None, container: Any) -> None:
        self.items = items
        self.parts = parts
        self.code = code
        self.container = container  # kept alive, so that its id() stays its own


class _Rope(list[Any]):
    """Parts of an encoded extension with their size in bytes, so that enclosing headers need not walk them again."""

    __slots__ = ("size",)
    size: int


def encode_deep(form: Callable[[Any], Form], value: Any, spill: Spill = codec._no_spill) -> bytes:
    """Return the canonical bytes of a value, whatever its depth.

    Args:
        form: `Encoder.form`.
        spill: as for `Encoder`.

    Raises:
        EncodeError: something has no encoding, or a container contains itself.
    """
    root: list[Any] = []
    stack = [_Frame(iter((value,)), root, None, None)]
    open_ids: set[int] = set()
    while stack:
        frame = stack[-1]
        try:
            item = next(frame.items)
        except StopIteration:
            stack.pop()
            open_ids.discard(id(frame.container))
            if frame.code is not None:
                stack[-1].parts.append(_close(frame, spill))
            continue
        except RuntimeError as error:
            raise EncodeError(f"a container changed while it was encoded: {error}") from error
        done = _scalar(item, spill)
        if done is None:
            if id(item) in open_ids:
                containers = [opened.container for opened in stack]
                raise CyclicError(containers[[id(one) for one in containers].index(id(item)) :])
            opened = _open(form, item, frame.parts, spill)
            if isinstance(opened, _Frame):
                open_ids.add(id(item))
                stack.append(opened)
                continue
            done = opened
        frame.parts.append(done)
    return _flatten(root)


def _scalar(item: Any, spill: Spill) -> bytes | None:
    kind = type(item)
    if kind is float:
        return encode_float(item)
    if kind not in _SCALARS or (kind is int and item not in _NATIVE_INT):
        return None
    if kind in (str, bytes) and 4 * len(item) > codec.PIECE_MAX:
        data = item if kind is bytes else item.encode("utf-8", "surrogatepass")
        if len(data) > codec.PIECE_MAX:
            return _packed(spill(BYTES_PIECE if kind is bytes else TEXT_PIECE, data))
    packed: bytes = msgpack.packb(item, strict_types=True, unicode_errors="surrogatepass")
    return packed


def _packed(extension: msgpack.ExtType) -> bytes:
    data: bytes = extension.data
    return ext_header(extension.code, len(data)) + data


def _open(form: Callable[[Any], Form], item: Any, parts: list[Any], spill: Spill) -> _Frame | bytes:
    kind = type(item)
    if kind is list:
        parts.append(array_header(len(item)))
        return _Frame(iter(item), parts, None, item)
    if kind is dict:
        parts.append(map_header(len(item)))
        return _Frame((x for pair in item.items() for x in pair), parts, None, item)
    if kind is tuple:
        return _Frame(iter((list(item),)), [], Ext.TUPLE, item)
    if kind in SETS:
        return _Frame(iter(item), [], SETS[kind], item)
    made = form(item)
    if isinstance(made, msgpack.ExtType):
        return _packed(made if len(made.data) <= codec.PIECE_MAX else spill(made.code, made.data))
    code, state = made
    return _Frame(iter((state,)), [], code, item)


def _close(frame: _Frame, spill: Spill) -> _Rope | bytes:
    parts = frame.parts
    code = int(frame.code or 0)
    if code in (Ext.SET, Ext.FROZENSET):
        parts = [join_sorted([_flatten([part]) for part in parts])]
    content = sum([part.size if type(part) is _Rope else len(part) for part in parts])
    if content > codec.PIECE_MAX:
        return _packed(spill(code, _flatten(parts)))
    head = ext_header(code, content)
    rope = _Rope((head, *parts))
    rope.size = len(head) + content
    return rope


def _flatten(parts: list[Any]) -> bytes:
    flat: list[bytes] = []
    pending = [iter(parts)]
    while pending:
        for part in pending[-1]:
            if type(part) is bytes:
                flat.append(part)
            else:
                pending.append(iter(part))
                break
        else:
            pending.pop()
    return b"".join(flat)


Maker = Callable[[int], tuple[bool, Callable[[Any], Any]]]


class _Open:
    """A container whose items are being decoded: how many are left, what makes it, and where an extension must end."""

    __slots__ = ("end", "items", "left", "make")

    def __init__(self, left: int, make: Callable[[list[Any]], Any], end: int | None = None) -> None:
        self.left = left
        self.items: list[Any] = []
        self.make = make
        self.end = end


def decode_deep(maker: Maker, unpack: Callable[[bytes], Any], data: bytes) -> Any:
    """Decode bytes of any depth without recursion; the mirror of `encode_deep`.

    Args:
        maker: `Decoder.maker`.
        unpack: decodes one whole scalar.

    Raises:
        DecodeError, or what constructors raise on a bad state; the caller translates.
    """
    unpacker = DeepUnpacker(maker, unpack, data)
    value = unpacker.unpack()
    if unpacker.tell() != len(data):
        raise DecodeError(f"{len(data) - unpacker.tell()} bytes follow the value")
    return value


class DeepUnpacker:
    """Takes bytes of any depth apart piece by piece, as `msgpack.Unpacker` does those that are not deep.

    Args:
        maker, unpack, data: as for `decode_deep`.
    """

    def __init__(self, maker: Maker, unpack: Callable[[bytes], Any], data: bytes) -> None:
        self._maker = maker
        self._unpack = unpack
        self._data = data
        self._at = 0

    def tell(self) -> int:
        """Return the offset of what comes next."""
        return self._at

    def read_array_header(self) -> int:
        """Return how many items the list has that begins here; they come next.

        Raises:
            DecodeError: no list begins here.
        """
        opened, _, self._at = _item(self._maker, self._unpack, self._data, self._at)
        if opened is None or opened.make is not _identity:
            raise DecodeError("expected a list")
        return opened.left

    def unpack(self) -> Any:
        """Return the value that begins here.

        Raises:
            DecodeError: as `decode_deep`.
        """
        at = self._at
        root = _Open(1, _identity)
        stack = [root]
        while root.left:
            opened, value, at = _item(self._maker, self._unpack, self._data, at)
            if opened is not None:
                stack.append(opened)
            else:
                stack[-1].items.append(value)
                stack[-1].left -= 1
            while stack[-1].left == 0 and len(stack) > 1:
                done = stack.pop()
                if done.end is not None and done.end != at:
                    raise DecodeError("an extension's size does not match its content")
                stack[-1].items.append(done.make(done.items))
                stack[-1].left -= 1
        self._at = at
        return root.items[0]


def _identity(items: list[Any]) -> Any:
    return items


def _pairs(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


def _item(maker: Maker, unpack: Callable[[bytes], Any], data: bytes, at: int) -> tuple[_Open | None, Any, int]:
    """Read one header at `at`: a container that opens there, or a whole scalar. Returns it and the offset that follows."""
    first = data[at]
    if first & 0xF0 == 0x90:
        return _Open(first & 0x0F, _identity), None, at + 1
    if first & 0xF0 == 0x80:
        return _Open(2 * (first & 0x0F), _pairs), None, at + 1
    if 0xDC <= first <= 0xDF:
        width = 2 if first in (0xDC, 0xDE) else 4
        count = int.from_bytes(data[at + 1 : at + 1 + width], "big")
        is_map = first >= 0xDE
        if count > len(data) - at:
            raise DecodeError(f"a container claims {count} items in {len(data) - at} bytes")
        return _Open(count * (2 if is_map else 1), _pairs if is_map else _identity), None, at + 1 + width
    size, header = _scalar_size(data, at)
    end = at + header + size
    if end > len(data):
        raise DecodeError("bytes end inside a value")
    if _is_ext(first):
        from_bytes, make = maker(data[at + header - 1])
        if not from_bytes:
            return _Open(1, lambda items: make(items[0]), end), None, at + header
    return None, unpack(data[at:end]), end


def _is_ext(first: int) -> bool:
    return 0xC7 <= first <= 0xC9 or 0xD4 <= first <= 0xD8


_FIXED_SIZE = {0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4}


def _scalar_size(data: bytes, at: int) -> tuple[int, int]:
    """Return the sizes of body and header (marker, size field, extension code) of the scalar or extension at `at`."""
    first = data[at]
    if first < 0x80 or first >= 0xE0 or first in (0xC0, 0xC2, 0xC3):
        return 0, 1
    if 0xA0 <= first < 0xC0:
        return first & 0x1F, 1
    if first in _FIXED_SIZE:
        return _FIXED_SIZE[first], 1
    if 0xD4 <= first <= 0xD8:
        return 1 << (first - 0xD4), 2
    width = _SIZED.get(first)
    if width is None:
        raise DecodeError(f"byte {first:#04x} starts no value")
    return int.from_bytes(data[at + 1 : at + 1 + width], "big"), 1 + width + (1 if _is_ext(first) else 0)
