"""Objects that tasks, calls and executions become: their bodies, and nothing else.

The store sees only their envelope and links (`redun.store.objects`); this module is the one place that writes and reads the
bodies, so the engine (which writes) and `redun.provenance` (which reads) cannot drift apart. Bodies are msgpack of plain data;
see docs/format.md.

    task       [fullname, source text or nil, version or nil, [hex of included hashes], overridden options or nil]
    call       [place of task, [argument, ...], [[name, argument], ...], reduction or nil, result, [places of child calls],
                [places of the other tasks in the subtree]]
    execution  {id, argv, start, host, user, pid, cwd, version, tags}

In a call each argument, the single reduction and the result are refs: a place in the link table, or the inline object. The
reduction is nil where it equals the result. Child calls and tasks are sorted by id, so that timing does not change a call's id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgpack

from redun.store.errors import DecodeError
from redun.store.ids import LINK_MARK, object_id
from redun.store.objects import Codec, Flag, Kind, LinksInPlace, LinkTable, body_ref, link_at, parse_header, split, with_links


def _pack(body: Any) -> bytes:
    packed: bytes = msgpack.packb(body, strict_types=True, unicode_errors="surrogatepass")
    return packed


def _unpack(data: bytes, kind: Kind) -> tuple[Any, list[bytes], int]:
    found, codec, flags, links, body = split(data)
    if found is not kind or codec is not Codec.MSGPACK:
        raise DecodeError(f"expected a {kind.name.lower()}, found a {found.name.lower()}")
    try:
        return msgpack.unpackb(body, unicode_errors="surrogatepass", strict_map_key=False), links, flags
    except (ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"{kind.name.lower()} cannot be decoded: {error!r}") from error


class TaskRecord(NamedTuple):
    """A task as it was when it was hashed.

    Attributes:
        source: its text, None if `version` stands for it (the text is then found through the journal).
        includes: hashes (hex) of what `hash_includes` and wrapped tasks add.
        overrides: options set by `.options(...)` at call time, plain data.
    """

    fullname: str
    source: str | None
    version: str | None = None
    includes: tuple[str, ...] = ()
    overrides: Any = None

    def encode(self) -> bytes:
        """Return the object bytes; the task's hash is their id."""
        body = [self.fullname, self.source, self.version, list(self.includes), self.overrides]
        return with_links(Kind.TASK, Codec.MSGPACK, 0, (), _pack(body))

    @classmethod
    def decode(cls, data: bytes) -> TaskRecord:
        """Read a task object. Raises DecodeError."""
        body, _, _ = _unpack(data, Kind.TASK)
        try:
            fullname, source, version, includes, overrides = body
            return cls(fullname, source, version, tuple(includes), overrides)
        except (TypeError, ValueError) as error:
            raise DecodeError(f"task cannot be decoded: {error!r}") from error


class CallRecord(NamedTuple):
    """One call: shared by every job that made it.

    Attributes:
        task: 20-byte id of the task object.
        args, kwargs: refs of the arguments, as given, defaults filled in as keywords.
        reduction: ref of what the function returned (maybe an expression).
        result: ref of the concrete value in the end, or of an `ErrorValue` if `failed`.
        children: ids of child calls, sorted.
        tasks: ids of the distinct tasks called below this call, its own left out, sorted.
    """

    task: bytes
    args: tuple[bytes, ...]
    kwargs: tuple[tuple[str, bytes], ...]
    reduction: bytes
    result: bytes
    children: tuple[bytes, ...] = ()
    tasks: tuple[bytes, ...] = ()
    failed: bool = False

    @classmethod
    def decode(cls, data: bytes) -> CallRecord:
        """Read a call object. Raises DecodeError."""
        body, links, flags = _unpack(data, Kind.CALL)
        try:
            task, args, kwargs, reduction, result, children, tasks = body
            result_ref = body_ref(result, links)
            return cls(
                link_at(links, task),
                tuple([body_ref(arg, links) for arg in args]),
                tuple([(name, body_ref(arg, links)) for name, arg in kwargs]),
                result_ref if reduction is None else body_ref(reduction, links),
                result_ref,
                tuple([link_at(links, child) for child in children]),
                tuple([link_at(links, other) for other in tasks]),
                bool(flags & Flag.ERROR),
            )
        except (TypeError, ValueError, IndexError) as error:
            raise DecodeError(f"call cannot be decoded: {error!r}") from error


class CallHead(NamedTuple):
    """What somebody wants to know of a call who has its result in mind: see `CallRecord`."""

    task: bytes
    reduction: bytes
    failed: bool


def call_head(data: bytes) -> CallHead:
    """Read some of a call object: in a third of the time of all of it. Raises DecodeError."""
    kind, codec, flags, _ = parse_header(data)
    if kind is not Kind.CALL or codec is not Codec.MSGPACK:
        raise DecodeError(f"expected a call, found a {kind.name.lower()}")
    links = LinksInPlace(data)
    try:
        body = msgpack.unpackb(memoryview(data)[links.end :], unicode_errors="surrogatepass", strict_map_key=False)
        task, _, _, reduction, result, _, _ = body
        ref = body_ref(result if reduction is None else reduction, links)
        return CallHead(link_at(links, task), ref, bool(flags & Flag.ERROR))
    except (TypeError, ValueError, IndexError, msgpack.UnpackException) as error:
        raise DecodeError(f"call cannot be decoded: {error!r}") from error


_packer = msgpack.Packer(strict_types=True, unicode_errors="surrogatepass")
_LEAF_HEADS = [with_links(Kind.CALL, Codec.MSGPACK, flags, [b""], b"") for flags in (0, Flag.ERROR)]
"""What stands before the one link of a call that has one, by whether it failed."""


def encode_call(
    task: bytes,
    args: list[bytes],
    kwargs: Collection[tuple[str, bytes]],
    reduction: bytes | None,
    result: bytes,
    children: Collection[bytes] = (),
    tasks: Collection[bytes] = (),
    failed: bool = False,
) -> tuple[bytes, bytes]:
    """Return id and object bytes of a call. On the path of every cold job, hence no record object in between.

    Args:
        reduction: None if it equals the result.
        children, tasks: any order, repeats allowed; see `CallRecord`.
    """
    if not (kwargs or children or tasks) and LINK_MARK not in [ref[0] for ref in (*args, result, reduction or result)]:
        # Small values only, as in most calls: none is a link, and the task is the only one.
        data = _LEAF_HEADS[failed] + task + _packer.pack([0, args, [], reduction, result, [], []])
        return object_id(data), data
    table = LinkTable()
    place = table.place
    body = [
        table.place_id(task),
        [place(ref) for ref in args],
        [[name, place(ref)] for name, ref in kwargs],
        None if reduction is None else place(reduction),
        place(result),
        table.place_ids(sorted(set(children))),
        table.place_ids([other for other in sorted(set(tasks)) if other != task]),
    ]
    data = with_links(Kind.CALL, Codec.MSGPACK, Flag.ERROR if failed else 0, table.ids, _packer.pack(body))
    return object_id(data), data


class ExecutionRecord(NamedTuple):
    """One run, as known when it began; how it ended stands in the journal.

    Attributes:
        id: UUID, 16 bytes.
        argv: the command line.
        start_us: UTC microseconds.
        tags: (key, JSON value) pairs.
    """

    id: bytes
    argv: list[str]
    start_us: int
    host: str = ""
    user: str = ""
    pid: int = 0
    cwd: str = ""
    version: str = ""
    tags: Sequence[tuple[str, Any]] = ()

    def encode(self) -> bytes:
        """Return the object bytes."""
        body = {
            "id": self.id,
            "argv": self.argv,
            "start": self.start_us,
            "host": self.host,
            "user": self.user,
            "pid": self.pid,
            "cwd": self.cwd,
            "version": self.version,
            "tags": [list(tag) for tag in self.tags],
        }
        return with_links(Kind.EXECUTION, Codec.MSGPACK, 0, (), _pack(body))

    @classmethod
    def decode(cls, data: bytes) -> ExecutionRecord:
        """Read an execution object. Raises DecodeError."""
        body, _, _ = _unpack(data, Kind.EXECUTION)
        try:
            tags = [(key, value) for key, value in body["tags"]]
            return cls(
                body["id"],
                body["argv"],
                body["start"],
                body["host"],
                body["user"],
                body["pid"],
                body["cwd"],
                body["version"],
                tags,
            )
        except (TypeError, ValueError, KeyError) as error:
            raise DecodeError(f"execution cannot be decoded: {error!r}") from error
