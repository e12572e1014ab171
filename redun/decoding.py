"""Objects of the store as values; the other way is `redun.encoding`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from redun.codecs.buffer import BUFFER_PADDING, Buffer
from redun.content import RAW, Content
from redun.errors import DecodeError, RedunError
from redun.expression import QuotedExpression
from redun.extensions import UserExt
from redun.graph import GraphReader
from redun.store.codec import BYTES_PIECE, TEXT_PIECE, TOO_DEEP, Decoder
from redun.store.ids import LINK_MARK, Pieces
from redun.store.objects import Codec, Flag, Kind, header, link_at, split
from redun.user_types import REVIVE, REVIVE_BYTES

PLAIN = header(Kind.VALUE, Codec.MSGPACK)


class ValueDecoder:
    """Decodes refs and objects back into values. One per thread.

    Args:
        get: gives the bytes of an object (`Source.get`, or `Source.pieces`); raises if it is missing or damaged.
        view: as `get`, but may give a writable view that nobody else has (`Source.view`); used for long buffers.
        find_task: gives the task of a fullname; the registry's by default.
        revive, revive_bytes: what to make of extensions (`Decoder`), in place of the real types.
    """

    def __init__(
        self,
        get: Callable[[bytes], bytes | Pieces],
        find_task: Callable[[str], Any] | None = None,
        revive: Mapping[int, Callable[[Any], Any]] = REVIVE,
        revive_bytes: Mapping[int, Callable[[bytes], Any]] = REVIVE_BYTES,
        view: Callable[[bytes], bytes | memoryview] | None = None,
    ) -> None:
        self._get = get
        self._view: Callable[[bytes], Any] = view or get
        self._find_task = find_task
        self._graphs: list[GraphReader] = []
        self._links: list[bytes] = []
        self._link_ids: frozenset[bytes] = frozenset()
        self._linked: dict[bytes, Any] = {}
        own: dict[int, Callable[[bytes], Any]] = {
            UserExt.NODE: self._node,
            UserExt.LINK: self._link,
            UserExt.QUOTED: self._quoted,
            UserExt.BLOCK: self._buffer,
            UserExt.LONG: self._long,
            UserExt.CONTENT: self._kept,
        }
        self.decoder = Decoder(revive, {**own, **revive_bytes})

    def decode(self, ref: bytes) -> Any:
        """Return the value of a ref.

        Raises:
            ObjectNotFound, DamagedObject: from `get`.
            DecodeError: the bytes have no meaning (any more); UnknownTypeError, TaskNotFound: they name what is gone.
        """
        return self.decode_object(ref if ref[0] != LINK_MARK else self._get(ref[1:]))

    def decode_object(self, data: bytes | Pieces) -> Any:
        """Return the value of an object's bytes; see `decode`."""
        if isinstance(data, Pieces):
            if data.head == RAW:
                return data.body
            if data.head == PLAIN:
                return self.decoder.decode(data.body)
            data = bytes(data)
        if data[:4] == PLAIN:
            return self.decoder.decode(memoryview(data)[4:])
        kind, codec, flags, links, body = split(data)
        if kind is not Kind.VALUE:
            raise DecodeError(f"expected a value, found a {kind.name.lower()}")
        if codec is Codec.RAW:
            return bytes(body)
        outer, outer_ids = self._links, self._link_ids
        self._links, self._link_ids = links, frozenset(links)
        try:
            return self._graph(body) if flags & Flag.EXPRESSION else self.decoder.decode(body)
        finally:
            self._links, self._link_ids = outer, outer_ids
            if not outer:
                self._linked.clear()

    def _graph(self, body: bytes | memoryview) -> Any:
        find = self._find_task
        if find is None:
            from redun.task import get_task_registry

            find = get_task_registry().require
        try:
            try:
                return self._read_graph(self.decoder.unpacker(body), find)
            except TOO_DEEP:
                return self._read_graph(self.decoder.deep_unpacker(body), find)
        except RedunError:
            raise
        except Exception as error:
            raise DecodeError(f"an expression graph cannot be decoded: {error!r}") from error

    def _read_graph(self, rows: Any, find: Callable[[str], Any]) -> Any:
        depth = len(self._graphs)
        try:
            if rows.read_array_header() != 3:
                raise DecodeError("an expression graph has three parts")
            reader = GraphReader(rows.unpack(), find)
            self._graphs.append(reader)
            for _ in range(rows.read_array_header()):
                reader.add(rows.unpack())
            return rows.unpack()
        finally:
            del self._graphs[depth:]

    def _node(self, data: bytes) -> Any:
        return self._graphs[-1].nodes[int.from_bytes(data, "big")]

    def _link(self, data: bytes) -> Any:
        oid = link_at(self._links, int.from_bytes(data, "big"))
        if oid not in self._linked:
            self._linked[oid] = self.decode_object(self._get(oid))
        return self._linked[oid]

    def _buffer(self, oid: bytes) -> Buffer:
        # Each gets memory of its own, also if it is equal to another: what was two arrays must stay two.
        content = self._content(oid)
        return Buffer(memoryview(bytearray(content)) if content.readonly else content)

    def _content(self, oid: bytes) -> memoryview:
        """Return what an object that stands beside the value holds."""
        oid = bytes(oid)
        if oid not in self._link_ids:
            raise DecodeError(f"a value names {oid.hex()!r}, which is none of its links")
        view = memoryview(self._view(oid))
        start = len(RAW) + len(BUFFER_PADDING)
        if len(view) < start or view[: len(RAW)] != RAW:
            raise DecodeError("what stands beside a value is no object of raw bytes")
        return view[start:]

    def _kept(self, data: bytes) -> Content:
        content = Content.of_ext(data)
        if content.oid not in self._link_ids:
            raise DecodeError(f"a value names {content.oid.hex()!r}, which is none of its links")
        return content

    def _long(self, data: bytes) -> Any:
        what = data[0]
        content = self._content(data[1:])
        if what == BYTES_PIECE:
            return bytes(content)
        if what == TEXT_PIECE:
            return str(content, "utf-8", "surrogatepass")
        return self.decoder.extension(what, content)

    def _quoted(self, data: bytes) -> QuotedExpression[Any]:
        return QuotedExpression(self._graph(data))
