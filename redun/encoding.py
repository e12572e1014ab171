"""Values as objects of the store; the other way is `redun.decoding`.

`ValueEncoder.encode` turns any value into a *ref* (see `redun.store.ids`): up to 32 bytes the object itself, beyond that the link to an
object that is handed to `put`. It is on the path of every argument and result, so scalars take the first lines and nothing else.

    bytes          codec RAW: the bytes as they are
    anything else  codec MSGPACK: canonical msgpack; with flag EXPRESSION the body is a graph (`redun.graph`)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgpack

from redun.any_object import pickled
from redun.class_names import full_name
from redun.codecs.buffer import BUFFER_PADDING, INLINE_BUFFER_MAX, Buffer
from redun.content import KEPT, RAW, Content
from redun.decoding import PLAIN, ValueDecoder
from redun.errors import CyclicError, DecodeError, RedunError
from redun.expression import Expression, QuotedExpression
from redun.extensions import UserExt
from redun.graph import LINK_ABOVE, GraphWriter, LinkTo
from redun.large_values import LARGE_BYTES, LOOKS, LargeValues
from redun.nested import EXPRESSION_TYPES, iter_leaves
from redun.store.codec import BUFFER_BYTES, PIECE_MAX, Encoder
from redun.store.ids import INLINE_MAX, Pieces, checksum, link_ref, object_id, ref_id
from redun.store.objects import Codec, Flag, Kind, LinkTable, with_links
from redun.store.plain_types import Form
from redun.user_types import REVIVE, value_form
from redun.value import Function, Value, get_type_registry

_registry = get_type_registry()
_SCALARS = frozenset((int, str, bool, type(None)))
_PLAIN_CONTAINERS = frozenset((list, dict, tuple, set, frozenset, type(None)))

Put = Callable[[bytes, Any], None]


def _discard(oid: bytes, data: bytes | Pieces) -> None:
    return None


AHEAD_BYTES = 16 << 20
"""Blocks from this size on are not copied while they are recorded."""


def _discard_ahead(oid: bytes, data: Pieces, look: bytes) -> None:
    return None


class ValueEncoder:
    """Encodes values. One per thread; not reentrant.

    Args:
        put: called with id and bytes of every object that is too large to live inside what refers to it (by `encode`, large
            ones as `Pieces`).
        reused: if given, large values are remembered, and not encoded and put a second time; it is told ref and value instead.
        by_hash: write values whose class defines its own `get_hash` as that hash: the bytes then say what the value *counts as*,
            not what it is, and cannot be decoded.
        keeps: if given, it is asked whether the store has a content of a file that a value names (`redun.content`); what it has not is
            left out.
        beside: write what stands beside a value and does not count: the parts that `iter_subvalues` tells of, and which contents of
            files are kept.
        ahead: called, in place of `put`, with id, bytes and checksum of blocks of `AHEAD_BYTES` and more, whose content is not copied and may
            change once the encoder has returned: it has written it by then. Without it, and with `put`, they are copied.

    Attributes:
        flags: of the value encoded last (`Flag`).
        aliases: of the value encoded last (`GraphWriter.aliases`); None if it holds no expressions, or no equal ones.
        counts_as: True if the value encoded last holds one that counts in an eval hash as something else than its bytes: its class defines
            its own `get_hash`, or something is written beside it; see `key`.
    """

    def __init__(
        self,
        put: Put = _discard,
        by_hash: bool = False,
        reused: Callable[[bytes, Any], None] | None = None,
        keeps: Callable[[Content], bool] | None = None,
        beside: bool = True,
        ahead: Callable[[bytes, Pieces, bytes], None] | None = None,
    ) -> None:
        self._put = put
        self._ahead = _discard_ahead if ahead is None and put is _discard else ahead
        self._keeps = keeps
        self._reused = reused
        self._large = None if reused is None else LargeValues()
        self._by_hash = by_hash
        self._counter: ValueEncoder | None = None
        self._writes_beside = beside and not by_hash
        self._encoder = Encoder(self._extend, self._spill)
        self._pack = msgpack.Packer(strict_types=True, unicode_errors="surrogatepass", buf_size=BUFFER_BYTES).pack
        self._links = LinkTable()
        self._blocks: set[bytes] = set()
        self._linked: dict[int, tuple[Any, LinkTo | None]] = {}
        self._forms: dict[int, tuple[Any, tuple[Form, bool]]] = {}
        self._whole: dict[int, Any] = {}
        self.flags = 0
        self.aliases: dict[int, Expression[Any]] | None = None
        self._graph: GraphWriter | None = None
        self.counts_as = False

    def encode(self, value: Any) -> bytes:
        """Return the ref of a value.

        Raises:
            EncodeError: the value, or something in it, cannot be recorded; names the type.
        """
        if type(value) in _SCALARS:
            self.flags = 0
            self.aliases = None
            self.counts_as = False
            try:
                data: bytes = PLAIN + self._pack(value)
            except (OverflowError, ValueError):
                data = self.object(value)
        elif type(value) in LOOKS and (known := self._remembered(value)) is not None:
            return known
        elif type(value) is bytes and len(value) >= LARGE_BYTES:
            self.flags = 0
            self.aliases = None
            self.counts_as = False
            return self._stored(value, Pieces(RAW, value))
        else:
            data = self.object(value)
        if len(data) <= INLINE_MAX:
            return data
        if len(data) < LARGE_BYTES and type(value) in _SCALARS:
            oid = object_id(data)
            self._put(oid, data)
            return link_ref(oid)
        return self._stored(value, data)

    def _stored(self, value: Any, data: bytes | Pieces) -> bytes:
        if type(value) is str and (known := self._remembered(value)) is not None:
            return known
        oid = object_id(data)
        self._put(oid, data)
        ref = link_ref(oid)
        if self._large is not None and not self.counts_as:
            self._large.keep(value, ref, self.flags)
        return ref

    def _remembered(self, value: Any) -> bytes | None:
        """Return the ref of a large value that was encoded before."""
        known = None if self._large is None else self._large.find(value)
        if known is None or self._reused is None:
            return None
        self.flags = known.flags
        self.aliases = None
        self.counts_as = False
        self._reused(known.ref, value)
        return known.ref

    def known(self, ref: bytes, flags: int) -> bytes:
        """Take a value as encoded whose ref and flags are known, and which counts as what it is."""
        self.flags = flags
        self.aliases = None
        self.counts_as = False
        return ref

    def remember(self, value: Any, ref: bytes, flags: int, size_bytes: int = LARGE_BYTES) -> None:
        """Need not encode and put a large value that is in the store already. `size_bytes` is that of its object."""
        if self._large is not None and size_bytes >= LARGE_BYTES:
            self._large.keep(value, ref, flags)

    def forget(self) -> None:
        """Encode and put every value anew from here on."""
        if self._large is not None:
            self._large.clear()

    def key(self, value: Any, ref: bytes) -> bytes:
        """Return what a value that was just encoded counts as in an eval hash: its ref, unless something in it says otherwise."""
        if not self.counts_as:
            return ref
        if self._counter is None:
            self._counter = ValueEncoder(by_hash=True)
        return self._counter.encode(value)

    def object(self, value: Any) -> bytes:
        """Return the object bytes of a value, whatever their size; what they link is handed to `put`."""
        self.flags = 0
        self.aliases = None
        self.counts_as = False
        if type(value) is bytes:
            return RAW + value
        self._graph = None
        links = self._links = LinkTable()
        self._blocks.clear()
        self._linked.clear()
        self._forms.clear()
        try:
            if type(value) is list and value and EXPRESSION_TYPES.issuperset(map(type, value)):
                self._graph = GraphWriter(self._extend_leaf, self._link)
                body = self._graph.encode_list(value)
            else:
                body = self._encoder.encode(value)
        except CyclicError as error:
            whole = next((one for one in error.chain if type(one) not in _PLAIN_CONTAINERS), None)
            if whole is None or id(whole) in self._whole:
                raise
            # Parts that point at each other, such as the nodes of a tree at their parents, can only be pickled as one.
            self._whole[id(whole)] = whole
            try:
                return self.object(value)
            finally:
                self._whole.pop(id(whole), None)
        graph = self._graph
        if graph is not None:
            # A graph may have been begun by an attempt that the codec had to repeat: its rows are the same, once.
            body = graph.finish(body)
            self.flags |= Flag.EXPRESSION
            self.aliases = graph.aliases()
            self._graph = None
            graph.clear()
        for oid in sorted(self._blocks):
            links.place_id(oid)
        self._linked.clear()
        self._forms.clear()
        return with_links(Kind.VALUE, Codec.MSGPACK, self.flags, links.ids, body)

    def _extend(self, value: Any) -> Form:
        if isinstance(value, Expression):
            graph = self._graph
            if graph is None:
                graph = self._graph = GraphWriter(self._extend_leaf, self._link)
            return graph.place(value)
        return self._extend_leaf(value)

    def _extend_leaf(self, value: Any) -> Form:
        if isinstance(value, Expression):
            return self._extend(value)
        if isinstance(value, QuotedExpression):
            return self._quoted(value)
        if type(value) is Buffer and len(value) > INLINE_BUFFER_MAX:
            return self._buffer(value)
        if type(value) is Content:
            return self._content(value)
        if type(value) is _Itself:
            form, unstable = value_form(value.value)
            self.flags |= Flag.UNSTABLE if unstable else 0
            return form
        proxy = None if isinstance(value, Value) else _registry.proxy_for(type(value))
        if proxy is not None:
            if proxy is not Function and (
                _registry.overrides(proxy, "is_valid") or _registry.overrides(proxy, "iter_subvalues")
            ):
                self.flags |= Flag.SUBVALUES
            if _registry.overrides(proxy, "get_hash"):
                self.counts_as = True
                if self._by_hash:
                    return UserExt.VALUE, [proxy.stored_name, proxy(value).get_hash(), None]
        made = self._forms.get(id(value))
        if made is not None:
            form, unstable = made[1]
        elif self._whole and id(value) in self._whole:
            form, unstable = pickled(value), True
        else:
            form, unstable = value_form(value)
        if unstable:
            self.flags |= Flag.UNSTABLE
            _say_unstable(type(value))
        if made is None and type(form) is tuple and form[0] == UserExt.CODEC and _is_long(value):
            # The same array may stand in every call of a result: it is taken apart and hashed once.
            self._forms[id(value)] = value, (form, unstable)
        if type(form) is tuple and form[0] == UserExt.VALUE:
            self.flags |= Flag.SUBVALUES
            if isinstance(value, Value) and type(value).get_hash is not Value.get_hash:
                self.counts_as = True
                if self._by_hash:
                    return UserExt.VALUE, [type(value).stored_name, value.get_hash(), None]
            elif isinstance(form[1][1], dict) and KEPT in form[1][1]:
                self.counts_as = True
                if not self._writes_beside or not self._has_contents(form[1][1][KEPT]):
                    return UserExt.VALUE, [form[1][0], {key: item for key, item in form[1][1].items() if key != KEPT}]
        hooks = type(value) if proxy is None else proxy
        if (proxy is not None or isinstance(value, Value)) and _registry.overrides(hooks, "iter_subvalues"):
            return self._with_members(value, proxy, form)
        return form

    def _with_members(self, value: Any, proxy: Any, form: Form) -> Form:
        """Return the form of a value with the parts of it that its class tells of (`Value.iter_subvalues`)."""
        members = None if self._by_hash else _members_of(value if proxy is None else proxy(value))
        if not members:
            return form
        self.counts_as = True
        if not self._writes_beside:
            return form
        self.flags |= Flag.SUBVALUES
        if type(form) is tuple and form[0] == UserExt.VALUE:
            name, content, *own = form[1]
            return UserExt.VALUE, [name, content, bool(own), members]
        return UserExt.VALUE, [proxy.stored_name, _Itself(value), False, members]

    def _has_contents(self, kept: Any) -> bool:
        """Tell whether the store has, or gets, all contents that a file's state names."""
        if self._keeps is None:
            return True
        found = [one for one in iter_leaves(kept) if type(one) is Content and one.data is None]
        return all(map(self._keeps, found))

    def _content(self, content: Content) -> msgpack.ExtType:
        if content.data is not None and self._put is not _discard:
            self._put(content.oid, content.data)
            # A value may live long, with thousands of files.
            content.data = None
        self._blocks.add(content.oid)
        return msgpack.ExtType(UserExt.CONTENT, content.ext())

    def _buffer(self, buffer: Buffer) -> msgpack.ExtType:
        if buffer.oid is None:
            buffer.oid = self._beside(buffer.data)
        self._blocks.add(buffer.oid)
        return msgpack.ExtType(UserExt.BLOCK, buffer.oid)

    def _spill(self, what: int, data: bytes) -> msgpack.ExtType:
        return msgpack.ExtType(UserExt.LONG, bytes((what,)) + self._beside(data))

    def _beside(self, content: bytes | bytearray | memoryview) -> bytes:
        """Make bytes an object of their own and return its id: places would follow the order in which a set is walked."""
        if self._ahead is not None and len(content) >= AHEAD_BYTES:
            pieces = Pieces(RAW + BUFFER_PADDING, content)  # type: ignore[arg-type]
            look = checksum(pieces)
            oid = object_id(pieces)
            self._ahead(oid, pieces, look)
        else:
            data = b"".join((RAW, BUFFER_PADDING, content))
            oid = object_id(data)
            self._put(oid, data)
        self._blocks.add(oid)
        return oid

    def _quoted(self, value: QuotedExpression[Any]) -> msgpack.ExtType:
        graph = GraphWriter(self._extend_leaf, self._link)
        outer, self._graph = self._graph, graph
        try:
            root = Encoder(self._extend, self._spill).encode(value.expr)
        finally:
            self._graph = outer
        quoted = graph.finish(root)
        graph.clear()
        return msgpack.ExtType(UserExt.QUOTED, quoted)

    def _link(self, value: Any) -> LinkTo | None:
        """Make a large argument of an expression an object of its own, once for all expressions that it is an argument of."""
        known = self._linked.get(id(value))
        if known is None:
            known = self._linked[id(value)] = value, self._link_anew(value)
        return known[1]

    def _link_anew(self, value: Any) -> LinkTo | None:
        if self._large is not None and self._reused is not None and (found := self._large.find(value)) is not None:
            self._reused(found.ref, value)
            self.flags |= found.flags & (Flag.SUBVALUES | Flag.UNSTABLE)
            return LinkTo(self._links.place_id(ref_id(found.ref)))
        encoder = ValueEncoder(self._put, ahead=self._ahead)
        data = encoder.object(value)
        if len(data) <= LINK_ABOVE:
            return None
        oid = object_id(data)
        self._put(oid, data)
        self.flags |= encoder.flags & (Flag.SUBVALUES | Flag.UNSTABLE)
        self.counts_as |= encoder.counts_as
        if self._large is not None and not encoder.counts_as:
            self._large.keep(value, link_ref(oid), encoder.flags)
        return LinkTo(self._links.place_id(oid))


class _Itself:
    """Stands for a foreign value inside the form that holds it and its parts."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def _members_of(value: Value) -> Any:
    try:
        return value._members()
    except Exception as error:
        _say_once(
            type(value), "parts", f"the parts of a {full_name(type(value))!r} cannot be had, so none is recorded: {error!r}"
        )
        return None


def _is_long(value: Any) -> bool:
    return type(value) in LOOKS or getattr(value, "nbytes", 0) > INLINE_BUFFER_MAX


_idle_encoders: list[ValueEncoder] = []


def value_ref(value: Any) -> bytes:
    """Return the ref of a value without storing anything. Any thread."""
    encoder = _idle_encoders.pop() if _idle_encoders else ValueEncoder()
    ref = encoder.encode(value)
    _idle_encoders.append(encoder)
    return ref


def value_id(value: Any) -> bytes:
    """Return the 20-byte id that a value has as an object. Any thread.

    Raises:
        EncodeError: it cannot be recorded.
    """
    return ref_id(value_ref(value))


def counted_id(value: Any) -> bytes:
    """Return the 20-byte id that a value has without what stands beside it and does not count (`ValueEncoder`). Any thread.

    Raises:
        EncodeError: it cannot be recorded.
    """
    encoder = _idle_encoders.pop() if _idle_encoders else ValueEncoder()
    ref = encoder.encode(value)
    if encoder.counts_as:
        ref = ValueEncoder(beside=False).encode(value)
    _idle_encoders.append(encoder)
    return ref_id(ref)


_said_types: set[tuple[type, str]] = set()


def _say_once(kind: type, what: str, text: str) -> None:
    if (kind, what) in _said_types:
        return
    _said_types.add((kind, what))
    from redun.logging import logger

    logger.warning(text)


def _say_unstable(kind: type) -> None:
    """Say, once for each type, that its values may be computed again in another process."""
    _say_once(
        kind,
        "unstable",
        f"values of type {full_name(kind)!r} have no canonical form and are kept as pickles: in another process they may get "
        "another id and be computed again. Derive the class from redun.value.Value, or register a ProxyValue for it",
    )


def value_bytes(value: Any) -> bytes:
    """Return a value as one self-contained byte string, for pickles and messages; undo with `restore`."""
    parts: dict[bytes, bytes] = {}
    data = ValueEncoder(parts.__setitem__).object(value)
    if max(map(len, (data, *parts.values()))) > PIECE_MAX:
        return _joined([data, *(item for pair in parts.items() for item in pair)])
    packed: bytes = msgpack.packb([data, parts])
    return packed


_JOINED = b"\xc1"  # never used by msgpack


def _joined(items: list[bytes]) -> bytes:
    return b"".join((_JOINED, *(part for item in items for part in (len(item).to_bytes(8, "big"), item))))


def _taken_apart(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    if data[:1] != _JOINED:
        body, parts = msgpack.unpackb(data, strict_map_key=False)
        return body, parts
    items = []
    at = 1
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "big")
        items.append(data[at + 8 : end])
        at = end
    return items[0], dict(zip(items[1::2], items[2::2], strict=True))


def restore(data: bytes) -> Any:
    """Return the value that `value_bytes` packed.

    Raises:
        DecodeError: the bytes have no meaning (any more).
    """
    return restore_with(data, REVIVE)


def restore_with(data: bytes, revive: Mapping[int, Callable[[Any], Any]]) -> Any:
    """As `restore`, with other makers of extensions (`Decoder`)."""
    try:
        body, parts = _taken_apart(data)
        return ValueDecoder(parts.__getitem__, revive=revive).decode_object(body)
    except RedunError:
        raise
    except Exception as error:
        raise DecodeError(f"bytes cannot be decoded: {error!r}") from error
