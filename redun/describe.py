"""Values described for people and indexes, without trusting them: no class has to exist, no pickle is loaded, nothing is called that
could do more than make data, nothing fails."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgpack

from redun.class_names import resolve
from redun.content import KEPT
from redun.decoding import ValueDecoder
from redun.errors import RedunError
from redun.extensions import UserExt
from redun.store.codec import BYTES_PIECE, TEXT_PIECE, ext_header
from redun.store.ids import LINK_MARK, ref_id
from redun.store.objects import Codec, Flag, Kind, header, split
from redun.store.plain_types import Ext
from redun.user_types import REVIVE, REVIVE_BYTES
from redun.value import MEMBERS

Get = Callable[[bytes], bytes]
_KEPT_KEY: bytes = msgpack.packb(KEPT)


class _Gone:
    """Stands for a value whose class or function cannot be found any more; shows what is known of it."""

    def __init__(self, what: str, *state: Any) -> None:
        self.what = what
        self.state = state

    def __repr__(self) -> str:
        return f"<{' '.join((self.what, *map(repr, self.state)))}>"

    def __hash__(self) -> int:
        return id(self)


# What may be called to show an object: classes of data, and what makes an object without running code of its class.
_MAKERS = frozenset(
    [("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__"), ("copyreg", "_reconstructor"), ("re", "_compile")]
    + [("array", "_array_reconstructor"), ("functools", "partial"), ("types", "SimpleNamespace"), ("types", "GenericAlias")]
    + [("operator", "itemgetter"), ("operator", "attrgetter")]
    + [("builtins", name) for name in ("set", "frozenset", "range", "bytearray", "complex", "object", "slice")]
)
_DATA_MODULES = frozenset(("collections", "datetime", "decimal", "fractions", "ipaddress", "uuid", "zoneinfo"))


def _is_harmless(state: Any) -> bool:
    """Tell whether an object may be made for the sake of showing it: that of another maker could do anything."""
    module, name = state[0]
    if (module, name) in _MAKERS:
        return True
    if module not in _DATA_MODULES and module != "builtins":
        return False
    made = resolve(module, name)
    return isinstance(made, type) and (module != "builtins" or issubclass(made, BaseException))


def _lenient(code: int) -> Callable[[Any], Any]:
    def revive(state: Any) -> Any:
        try:
            if code == UserExt.OBJECT and not _is_harmless(state):
                return _gone(code, state)
            return REVIVE[code](state)
        except Exception:
            return _gone(code, state)

    return revive


def _gone(code: int, state: Any) -> _Gone:
    if not isinstance(state, list) or len(state) < 2:
        return _Gone(str(state))
    if code in (UserExt.CLASS, UserExt.FUNCTION):
        return _Gone(f"{state[0]}.{state[1]}")
    if code == UserExt.OBJECT and state[1] and state[0] == ["copyreg", "__newobj__"]:
        # The class is the first argument: itself if it can be found, else what stands for it.
        made, content = state[1][0], [*state, None][2]
        what = (
            made.what if isinstance(made, _Gone) else f"{getattr(made, '__module__', '?')}.{getattr(made, '__qualname__', '?')}"
        )
        return _Gone(what, *([] if content is None else [content]))
    name = state[0]
    return _Gone(".".join(map(str, name)) if isinstance(name, list) else str(name), state[1])


class _LenientTask:
    """Stands for a task that is not defined here, so that expressions that name it can still be shown."""

    nout = None

    def __init__(self, fullname: str) -> None:
        self.fullname = fullname


def _lenient_task(fullname: str) -> Any:
    return _LenientTask(fullname)


_HARMLESS = frozenset(
    [f"redun.{family}{kind}" for family in ("", "Content", "I") for kind in ("File", "Dir", "FileSet")] + ["redun.ErrorValue"]
)
"""Types whose values are plain data whoever made them."""


def _of_a_stranger(code: int) -> Callable[[Any], Any]:
    """Make nothing of what names a class or function: to look one up may import a module, and to call it is to run code."""

    def revive(state: Any) -> Any:
        if code == UserExt.VALUE and isinstance(state, list) and len(state) == 2 and state[0] in _HARMLESS:
            return _lenient(code)(state)
        return _Gone(str(state[0])) if code == UserExt.CODEC and isinstance(state, list) and state else _gone(code, state)

    return revive


def preview(ref: bytes, get: Get, trusted: bool = True) -> str:
    """Return text for a person: the value's repr, or as much as can be told of it.

    Args:
        ref: ref of the value.
        get: `Source.get`.
        trusted: False for what came from somebody who is not trusted: no class is looked up, nothing is called.
    """
    lenient = _lenient if trusted else _of_a_stranger
    decoder = ValueDecoder(
        get,
        _lenient_task,
        {
            **{code: lenient(code) for code in REVIVE},
            UserExt.PICKLEPARTS: lambda state: _Gone("pickle of", f"{len(state[0])} bytes"),
        },
        {**REVIVE_BYTES, UserExt.PICKLE: lambda data: _Gone("pickle of", f"{len(data)} bytes")},
    )
    try:
        return repr(decoder.decode(ref))
    except Exception as error:
        return f"<value {ref_id(ref).hex()[:8]}: {error}>"


def type_name(ref: bytes, get: Get) -> str:
    """Return the name of a value's type without loading its class, like `builtins.int` or `redun.File`; `?` if it is damaged."""
    try:
        data = get(ref[1:]) if ref[0] == LINK_MARK else ref
        codec = split(data)[1]
    except RedunError:
        return "?"
    if codec is Codec.RAW:
        return "builtins.bytes"
    decoder = ValueDecoder(get, _LenientTask, _TYPE_NAMES, _NO_BYTES)
    try:
        value = decoder.decode_object(data)
    except RedunError:
        return "?"
    if isinstance(value, _Named):
        return value.name
    return f"{type(value).__module__}.{type(value).__qualname__}"


class _Named:
    """Stands for a value of which only the type's name matters, and, of a class, its own."""

    def __init__(self, name: str, own: str | None = None) -> None:
        self.name = name
        self.own = own


def _name(state: Any) -> _Named:
    name = state[0] if isinstance(state, list) and state else state
    return _Named(".".join(map(str, name)) if isinstance(name, list) else str(name))


_LONG_NAMES = {TEXT_PIECE: "builtins.str", BYTES_PIECE: "builtins.bytes", Ext.TUPLE: "builtins.tuple", Ext.SET: "builtins.set"}
_NO_BYTES: dict[int, Callable[[bytes], Any]] = {
    UserExt.PICKLE: lambda data: _Named("pickle"),
    UserExt.BUFFER: lambda data: None,
    UserExt.BLOCK: lambda data: None,
    UserExt.LONG: lambda data: _Named(_LONG_NAMES.get(data[0], "?")),
    UserExt.CONTENT: lambda data: None,
}
_TYPE_NAMES: dict[int, Callable[[Any], Any]] = dict.fromkeys(REVIVE, _name)
_TYPE_NAMES[UserExt.FUNCTION] = lambda state: _Named("builtins.function")
_TYPE_NAMES[UserExt.CLASS] = lambda state: _Named("builtins.type", _name([state]).name)
_TYPE_NAMES[UserExt.PICKLEPARTS] = lambda state: _Named("pickle")
_TYPE_NAMES[UserExt.OBJECT] = lambda state: _Named(_object_class(state))


def _object_class(state: Any) -> str:
    # copyreg.__newobj__(cls, ...) names the class as the first argument, other makers are named themselves.
    make, args = state[0], state[1]
    if make[0] == "copyreg" and args and isinstance(args[0], _Named) and args[0].own is not None:
        return args[0].own
    return ".".join(map(str, make))


def _members(state: Any) -> Iterator[tuple[str, bytes]]:
    """Yield type name and encoded state of the files that a folder or set of files lists."""
    listed = next((part[MEMBERS] for part in state[1:] if isinstance(part, dict) and MEMBERS in part), None)
    if not isinstance(listed, list) or len(listed) != 3 or not all(isinstance(part, str) for part in listed):
        return
    kind, prefix, listing = listed
    parts = listing.split("\0")
    for path, stamp in zip(parts[::2], parts[1::2], strict=False):
        item = msgpack.packb([kind, {"path": prefix + path, "stamp": stamp}], unicode_errors="surrogatepass")
        yield kind, item


def subvalues(data: bytes, get: Get) -> list[tuple[str, bytes]]:
    """List the registered values (files, handles, ...) inside a value's object, without loading their classes.

    Args:
        data: the value's object bytes.
        get: `Source.get`, for large arguments of expressions.

    Returns:
        (type name, object bytes) of each, the bytes being those that it has as an object of its own, in order of appearance;
        the value itself first if it is a registered one; each once. The files of folders and sets of files are listed after these.
    """
    if len(data) < 4 or not data[3] & Flag.SUBVALUES:
        return []
    found: list[tuple[str, bytes]] = []
    head = header(Kind.VALUE, Codec.MSGPACK, Flag.SUBVALUES)

    def collect(decode: Callable[[bytes], Any], content: bytes) -> _Named:
        place = len(found)
        found.append(("?", b""))
        state = decode(content)
        name = str(state[0])
        if len(state) == 2 and isinstance(state[1], dict) and KEPT in state[1]:
            # A file is the same whether its content is kept or not.
            content = _without_kept(content)
        found[place] = (name, head + ext_header(UserExt.VALUE, len(content)) + content)
        found.extend((kind, head + ext_header(UserExt.VALUE, len(item)) + item) for kind, item in _members(state))
        return _Named(name)

    _each_registered(data, get, collect, _NO_BYTES)
    return list(dict.fromkeys((name, item) for name, item in found if item))


def _without_kept(content: bytes) -> bytes:
    """Return the encoded `[type name, {key: item, ...}]` of a file without what is kept of it; of the rest not a byte is changed."""
    reader = msgpack.Unpacker(max_buffer_size=0)
    reader.feed(content)
    reader.read_array_header()
    start = reader.tell()
    reader.skip()
    name = content[start : reader.tell()]
    count = reader.read_map_header()
    items: list[bytes] = []
    for _ in range(count):
        start = reader.tell()
        reader.skip()
        key = content[start : reader.tell()]
        reader.skip()
        if key != _KEPT_KEY:
            items.append(content[start : reader.tell()])
    packer = msgpack.Packer(autoreset=False)
    packer.pack_array_header(2)
    head = packer.bytes()
    packer.reset()
    packer.pack_map_header(len(items))
    return b"".join([head, name, packer.bytes(), *items])


def _each_registered(
    data: bytes,
    get: Get,
    collect: Callable[[Callable[[bytes], Any], bytes], _Named],
    revive_bytes: Mapping[int, Callable[[bytes], Any]],
) -> None:
    """Walk a value's object without loading a class, and have each registered value in it collected.

    Args:
        collect: is given what decodes the state of a registered value, and its bytes.
        revive_bytes: what to make of extensions that hold bytes.
    """
    decoder = ValueDecoder(
        get,
        _LenientTask,
        {code: _name for code in REVIVE if code != UserExt.VALUE},
        {**revive_bytes, UserExt.VALUE: lambda content: collect(decoder.decoder.decode, content)},
    )
    # Where part of it is damaged or gone, what was seen until there is still true.
    with contextlib.suppress(RedunError):
        decoder.decode_object(data)


def kept_states(data: bytes, get: Get) -> list[tuple[list[str], list[Any]]]:
    """List the files inside a value's object whose content is kept, without loading their classes.

    Args:
        data: the value's object bytes.
        get: `Source.get`, for large arguments of expressions.

    Returns:
        paths, and for each what stands under `redun.content.KEPT`; one such pair for each file, folder or set of files.
    """
    if len(data) < 4 or not data[3] & Flag.SUBVALUES:
        return []
    found: list[tuple[list[str], list[Any]]] = []

    def collect(decode: Callable[[bytes], Any], content: bytes) -> _Named:
        state = decode(content)
        plain = state[1] if isinstance(state, list) and len(state) == 2 and isinstance(state[1], dict) else {}
        kept = plain.get(KEPT)
        if isinstance(kept, list):
            listed = plain.get(MEMBERS)
            if isinstance(listed, list) and len(listed) == 3 and all(isinstance(part, str) for part in listed):
                found.append(([listed[1] + name for name in listed[2].split("\0")[::2]], kept))
            elif isinstance(plain.get("path"), str):
                found.append(([plain["path"]], [kept]))
        return _Named("")

    _each_registered(data, get, collect, {code: maker for code, maker in _NO_BYTES.items() if code != UserExt.CONTENT})
    return found
