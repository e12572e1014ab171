"""Canonical msgpack: one value, one sequence of bytes, in every process.

Plain msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) is nearly canonical when packed with `strict_types`; what is
missing is fixed here:

* types that msgpack does not tell apart or does not know get an extension type (`Ext`), so values of different types never share
  bytes: tuple, set, bytearray, big integers, dates, paths, ...;
* sets are sorted by their encoded elements, so neither hash seed nor order of insertion shows;
* NaN has one form; -0.0 is not 0.0; a dict keeps its order; lone surrogates survive;
* nothing in a value can be mistaken for an extension of ours.

Cost is the reason for the two encoders. Nearly everything goes through msgpack's C packer in one call, whole lists at a time. Three
things escape it: `bytearray` and friends inside lists (C packs them as bytes), NaNs with odd bits, and nesting beyond the C stack.
They are rare, so after packing one scan (`_SUSPECT`) looks for bytes that could stem from the first two; only then the containers
are looked through, and only if one really is there does `redun.store.codec_deep` encode again, without recursion.

An extension is written as the canonical bytes of its *state*, a simpler value; only a few scalars write raw bytes. So both encoders
and both decoders treat all extensions alike, the ones of users' types too: those come in by the hooks `extend` and `revive`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgpack

from redun.store.errors import DecodeError, EncodeError, RedunError
from redun.store.plain_types import FROM_BYTES, FROM_STATE, Ext, Form, writer_of

# First bytes of bin (c4-c6), ext (c7-c9, d4-d8) and float (cb) items. They occur inside strings too: a hit only asks for a look.
_SUSPECT = re.compile(rb"[\xc4-\xc9\xcb\xd4-\xd8]").search

# What msgpack's C packer writes natively although it is none of the types that share those bytes.
_IMPOSTORS = frozenset((bytearray, memoryview, msgpack.ExtType, msgpack.Timestamp))
_CONTAINERS = (list, dict)

PIECE_MAX = 0xFFFF_FFFF
"""Bytes of the longest text, bytes or extension: msgpack has 32 bits for a length. Longer ones are spilled (`Encoder`)."""

BUFFER_BYTES = 1024
"""What a packer begins with; it grows. msgpack would take 256 KiB, which is much for one that packs a single expression."""

_BUFFER_KEPT = 16 << 20

TEXT_PIECE = 0
BYTES_PIECE = 128
"""What a spilled piece is, where it is no extension."""


class _TooHard(RecursionError):
    """Raised inside the fast encoder where it must leave the work to the deep one."""


# Levels of extension inside extension before the iterative codec takes over: each costs a packer, or 40 KiB of C stack in the unpacker.
_MAX_NESTING = 32

Spill: TypeAlias = "Callable[[int, bytes], msgpack.ExtType]"


def _no_spill(what: int, data: bytes) -> msgpack.ExtType:
    raise EncodeError(f"a piece of {len(data)} bytes is too long to be part of this")


class Encoder:
    """Turns values into canonical bytes. Not safe for use by two threads at once; make one per thread.

    Args:
        extend: called with an object that this module does not know (subclasses of known types too); returns (extension code
            from 32 on, state) or a finished `msgpack.ExtType`, or raises EncodeError.
        spill: called with a piece that is longer than a length can say: extension code (`TEXT_PIECE`, `BYTES_PIECE` for others) and
            content; returns what stands for it.
    """

    def __init__(self, extend: Callable[[Any], Form] | None = None, spill: Spill = _no_spill) -> None:
        self._extend = extend
        self.spill = spill
        self._reset()

    def _reset(self) -> None:
        # One packer per level: a packer has one buffer, and packing inside its `default` hook would write into it.
        self._depth = 0
        self._packers = [self._new_packer()]
        self._pack = self._packers[0].pack

    def _new_packer(self) -> msgpack.Packer:
        return msgpack.Packer(strict_types=True, unicode_errors="surrogatepass", default=self._extension, buf_size=BUFFER_BYTES)

    def encode(self, value: Any) -> bytes:
        """Return the canonical bytes of a value.

        Raises:
            EncodeError: it, or something inside it, has no encoding.
        """
        try:
            data: bytes = self._pack(value)
            if _SUSPECT(data) is not None:
                _refuse_impostors(value)
            if len(data) > PIECE_MAX:
                _refuse_long(value)
            if len(data) > _BUFFER_KEPT:
                # A packer never makes its buffer smaller.
                self._reset()
            return data
        except BaseException as error:
            # A packer that was left in the middle keeps what it had; the next use must start clean.
            self._reset()
            if isinstance(error, RecursionError) or type(error) in (ValueError, OverflowError):
                return self._encode_deep(value)
            raise

    def _encode_deep(self, value: Any) -> bytes:
        from redun.store.codec_deep import encode_deep

        return encode_deep(self.form, value, self.spill)

    def _nested(self, value: Any) -> bytes:
        self._depth = depth = self._depth + 1
        if depth > _MAX_NESTING:
            raise _TooHard
        if depth == len(self._packers):
            self._packers.append(self._new_packer())
        data: bytes = self._packers[depth].pack(value)
        self._depth = depth - 1
        if _SUSPECT(data) is not None:
            _refuse_impostors(value)
        if len(data) > PIECE_MAX:
            _refuse_long(value)
        return data

    def _extension(self, value: Any) -> msgpack.ExtType:
        # The packer's `default` hook.
        kind = type(value)
        if kind is tuple:
            code: int = Ext.TUPLE
            content = self._nested(list(value))
        elif kind is set or kind is frozenset:
            code = SETS[kind]
            content = join_sorted([self._nested(item) for item in value])
        else:
            form: Any = self.form(value)
            if type(form) is msgpack.ExtType:
                if len(form.data) <= PIECE_MAX:
                    return form
                code, content = form
            else:
                code, content = form[0], self._nested(form[1])
        return msgpack.ExtType(code, content) if len(content) <= PIECE_MAX else self.spill(code, content)

    def form(self, value: Any) -> Form:
        """Return what an extension is made of: its code and state, or its finished bytes.

        Raises:
            EncodeError: nobody knows the type.
        """
        writer = writer_of(type(value))
        if writer is not None:
            return writer(value)
        if self._extend is not None:
            return self._extend(value)
        raise EncodeError(f"a value of type {type(value).__qualname__!r} has no encoding")


def _refuse_impostors(value: Any) -> None:
    """Raise _TooHard if a list or dict, at any depth, directly holds an impostor or a NaN."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is dict:
            pending.append(list(item))
            pending.append(list(item.values()))
        elif kind is list:
            kinds = set(map(type, item))
            if not _IMPOSTORS.isdisjoint(kinds) or (float in kinds and any(x != x for x in item if type(x) is float)):
                raise _TooHard
            if list in kinds or dict in kinds:
                pending.extend([x for x in item if type(x) in _CONTAINERS])
        elif kind in _IMPOSTORS or (kind is float and item != item):
            raise _TooHard


def _refuse_long(value: Any) -> None:
    """Raise _TooHard if a list or dict, at any depth, directly holds text or bytes that are longer than a length can say."""
    pending = [value]
    while pending:
        item = pending.pop()
        kind = type(item)
        if kind is dict:
            pending.append(list(item))
            pending.append(list(item.values()))
        elif kind is list:
            pending.extend([x for x in item if type(x) in (list, dict, str, bytes)])
        elif kind in (str, bytes) and len(item) > PIECE_MAX:
            raise _TooHard


SETS: dict[type, Ext] = {set: Ext.SET, frozenset: Ext.FROZENSET}


def join_sorted(parts: list[bytes]) -> bytes:
    """Return the msgpack array of already encoded elements, sorted: the body of a set."""
    parts.sort()
    return b"".join((array_header(len(parts)), *parts))


def array_header(count: int) -> bytes:
    """Return the msgpack header of an array of `count` elements."""
    if count < 16:
        return bytes((0x90 | count,))
    _check_count(count)
    return b"\xdc" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdd" + count.to_bytes(4, "big")


def map_header(count: int) -> bytes:
    """Return the msgpack header of a map of `count` pairs."""
    if count < 16:
        return bytes((0x80 | count,))
    _check_count(count)
    return b"\xde" + count.to_bytes(2, "big") if count < 1 << 16 else b"\xdf" + count.to_bytes(4, "big")


def _check_count(count: int) -> None:
    if count >= 1 << 32:
        raise EncodeError(f"a container of {count} items has no encoding: split it into parts of less than {1 << 32}")


def ext_header(code: int, size: int) -> bytes:
    """Return the msgpack header of an extension of `size` bytes, as the C packer would write it."""
    fixed = {1: 0xD4, 2: 0xD5, 4: 0xD6, 8: 0xD7, 16: 0xD8}.get(size)
    if fixed is not None:
        return bytes((fixed, code))
    if size < 1 << 8:
        return bytes((0xC7, size, code))
    if size < 1 << 16:
        return b"\xc8" + size.to_bytes(2, "big") + bytes((code,))
    return b"\xc9" + size.to_bytes(4, "big") + bytes((code,))


# What decoding raises at bytes that are nested too deeply for it.
TOO_DEEP = (msgpack.exceptions.StackError, RecursionError)


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) and str(error) else repr(error)


class Decoder:
    """Turns canonical bytes back into values; the mirror of `Encoder`. Safe for one thread at a time.

    Args:
        revive: code -> function that makes a value from its decoded state, for codes from 32 on.
        revive_bytes: code -> function that makes a value from the extension's bytes, for the finished ones.
    """

    def __init__(
        self,
        revive: Mapping[int, Callable[[Any], Any]] | None = None,
        revive_bytes: Mapping[int, Callable[[bytes], Any]] | None = None,
    ) -> None:
        self._from_state = {**FROM_STATE, **(revive or {})}
        from_bytes = {**FROM_BYTES, **(revive_bytes or {})}
        self._from_bytes = {code: make for code, make in from_bytes.items() if code not in self._from_state}
        self._depth = 0

    def decode(self, data: bytes | memoryview) -> Any:
        """Return the value that `data` encodes.

        Raises:
            DecodeError: truncated, followed by other bytes, hostile, or of a type that nobody knows.
        """
        try:
            return msgpack.unpackb(data, ext_hook=self._extension, strict_map_key=False, unicode_errors="surrogatepass")
        except RedunError:
            raise
        except TOO_DEEP:
            from redun.store.codec_deep import decode_deep

            try:
                return decode_deep(self.maker, self._unpack, bytes(data))
            except RedunError:
                raise
            except Exception as error:
                raise DecodeError(f"bytes cannot be decoded: {_words(error)}") from error
        except Exception as error:
            # Anything: what makes values may be a user's class, and whatever is wrong with it, the value cannot be had.
            raise DecodeError(f"bytes cannot be decoded: {_words(error)}") from error
        finally:
            self._depth = 0

    def _unpack(self, data: bytes | memoryview) -> Any:
        return msgpack.unpackb(data, ext_hook=self._extension, strict_map_key=False, unicode_errors="surrogatepass")

    def unpacker(self, data: bytes | memoryview) -> Any:
        """Return a `msgpack.Unpacker` over `data`, for callers that take a message apart piece by piece."""
        unpacker = msgpack.Unpacker(
            None, ext_hook=self._extension, strict_map_key=False, unicode_errors="surrogatepass", max_buffer_size=len(data) + 1
        )
        unpacker.feed(data)
        return unpacker

    def deep_unpacker(self, data: bytes | memoryview) -> Any:
        """Return what does the same for messages of any depth, more slowly: for when the other raises `TOO_DEEP`."""
        from redun.store.codec_deep import DeepUnpacker

        self._depth = 0
        return DeepUnpacker(self.maker, self._unpack, bytes(data))

    def _extension(self, code: int, data: bytes) -> Any:
        # The unpacker's hook.
        make = self._from_bytes.get(code)
        if make is not None:
            return make(data)
        _, make = self.maker(code)
        self._depth = depth = self._depth + 1
        if depth > _MAX_NESTING:
            raise _TooHard
        state = self._unpack(data)
        self._depth = depth - 1
        return make(state)

    def extension(self, code: int, data: bytes | memoryview) -> Any:
        """Return the value of an extension's content, for a caller that found it elsewhere than in the bytes being decoded.

        Raises:
            DecodeError: as `decode`.
        """
        from_bytes, make = self.maker(code)
        if from_bytes:
            return make(bytes(data))
        depth = self._depth
        try:
            return make(self.decode(data))
        finally:
            self._depth = depth

    def maker(self, code: int) -> tuple[bool, Callable[[Any], Any]]:
        """Return how extension `code` becomes a value: from its bytes (True) or its decoded state (False), and by which function.

        Raises:
            DecodeError: nobody knows the code.
        """
        make = self._from_bytes.get(code)
        if make is not None:
            return True, make
        make = self._from_state.get(code)
        if make is not None:
            return False, make
        raise DecodeError(f"extension type {code} is unknown: written by a newer redun?")
