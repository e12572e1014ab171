"""The journal of an execution: what its jobs did, as a chain of immutable segments.

Every commit of a running execution writes one segment: its parent (as a git commit names its parent), records of the jobs that
were started or finished since, the eval hashes that became known and the tasks that were met. The ref `executions/<uuid>` moves
to it in the same transaction, from the first commit on, so what a run has done is reachable while it runs and after a kill. Jobs
are not objects of their own: a record is tens of bytes in a column, not a row with a random key.

Body of a segment (canonical msgpack), a map with short keys; columns of a job table all have the same length:

    e  link: the execution object          q  sequence number in the chain, from 0
    p  link: the parent segment, or nil    t  base time of the offsets below, UTC microseconds
    T  [link: task object]                 S  [[place in T, link or inline: source text]] for tasks whose object has none
    J  job table: n numbers (delta to the one before, first absolute) | i job ids, 16 bytes each, joined |
       p parents' numbers (0 for none) | t places in T | s start, offset | d duration, microseconds (-1 while running) |
       f status | c places of calls among the links (-1 for none)
    U  dataflow: [[number of a job, [[slot, [places of calls among the links]]]]]
    M  memo: eval hashes, 20 bytes each, joined | c places of their calls among the links
    R  reductions whose subtree was not finished: [[eval hash, link or inline: single reduction]]
    G  tags: [[kind of entity, [entity], [[key, value]]]]; an entity is its id, a value its link or inline object
    H  events of handles: [[state, 20 bytes, [states, 20 bytes each] or nil]]: a state was reached from others, or (nil) what was
       reached from it was abandoned; the segment then has `Flag.HANDLES`
    K  [link]: what running jobs rely on although nothing else here names it yet: arguments, reductions, tasks
    O  what jobs wrote: [[number of a job, number of the attempt, link or inline: a value]]
    X  [[key, value]] what else happened: {"status": ..., "end": ...} when the execution ends, messages

A job may stand in two segments: once when it was started, again, whole, when it ended; the later record wins. Numbers count the
jobs of an execution from 1 in order of creation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from redun.store.errors import DecodeError
from redun.store.ids import ID_BYTES
from redun.store.objects import Codec, Flag, Kind, LinkTable, body_ref, link_at, split, with_links

JOB_ID_BYTES = 16


class Status(IntEnum):
    """What became of a job, or of an execution."""

    PENDING = 0
    RUNNING = 1
    DONE = 2
    CACHED = 3
    FAILED = 4
    CANCELLED = 5
    INTERRUPTED = 6
    """Never written: readers see it in place of RUNNING when the process is gone."""


class JobRecord(NamedTuple):
    """What the journal knows of one job.

    Attributes:
        number: place in the order of creation, from 1.
        job_id: 16 random bytes (a UUID).
        parent: number of the parent job, 0 for the root.
        task: 20-byte id of the task object.
        start_us, duration_us: UTC microseconds and microseconds; duration -1 while it runs.
        status: see `Status`.
        call: 20-byte id of its call, None while it runs or if none was recorded.
    """

    number: int
    job_id: bytes
    parent: int
    task: bytes
    start_us: int
    duration_us: int
    status: Status
    call: bytes | None


class Upstream(NamedTuple):
    """Where one argument of a job, or its result, came from.

    Attributes:
        slot: place of a positional argument (int), name of a keyword argument (str), or None for the job's result.
        calls: 20-byte ids of the calls whose results it was made of, in order of first mention.
    """

    slot: int | str | None
    calls: tuple[bytes, ...]


class TagFact(NamedTuple):
    """Tags that a run gave to some things at once.

    Attributes:
        kind: of these things: `execution`, `job`, `task`, `value`, ...
        entities: their ids (16 bytes of executions and jobs, else 20); of values, their refs, so that they stay in the store.
        pairs: keys and their JSON values.
    """

    kind: str
    entities: tuple[bytes, ...]
    pairs: tuple[tuple[str, Any], ...]


VALUE_KIND = "value"


class HandleEvent(NamedTuple):
    """What happened to a state of a handle.

    Attributes:
        state: 20 bytes that name the state.
        parents: states that it was reached from, in no order; None: whatever was reached from this state is abandoned.
    """

    state: bytes
    parents: tuple[bytes, ...] | None


STDOUT, STDERR = 1, 2
CUT = 0
"""In place of a stream: so many characters were not kept."""


class OutputFact(NamedTuple):
    """What a job wrote while it ran.

    Attributes:
        number: of the job.
        attempt: which try at it, from 1.
        ref: of a value, the pieces: `[[STDOUT or STDERR, text], or [CUT, characters left out]]`.
    """

    number: int
    attempt: int
    ref: bytes


_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Segment(NamedTuple):
    """A decoded segment; see the module text for what each part means.

    Attributes:
        upstreams: number of a job -> the calls that its arguments and its result were derived from; jobs without any are absent.
        memo: eval hash -> id of the call that it led to, in the order in which they became known.
        reductions: (eval hash, ref of the single reduction) of calls that returned expressions, noted before these were evaluated.
        sources: task id -> ref of its source text, for tasks whose object does not carry it.
        tags: what was tagged.
        extra: free-form facts, msgpack plain data.
        handles: what happened to states of handles, in order.
        kept: ids of what jobs rely on that are not finished yet, so that gc spares it.
        outputs: what jobs wrote.
    """

    execution: bytes
    sequence: int
    parent: bytes | None
    jobs: Sequence[JobRecord] = ()
    memo: Sequence[tuple[bytes, bytes]] = ()
    reductions: Sequence[tuple[bytes, bytes]] = ()
    upstreams: Mapping[int, Sequence[Upstream]] = _NOTHING
    sources: Mapping[bytes, bytes] = _NOTHING
    tags: Sequence[TagFact] = ()
    extra: Sequence[tuple[str, Any]] = ()
    handles: Sequence[HandleEvent] = ()
    kept: Sequence[bytes] = ()
    outputs: Sequence[OutputFact] = ()


def encode_segment(segment: Segment) -> bytes:
    """Return a segment's object bytes. Its links: execution, parent, tasks, calls, source texts, tagged and kept values, output."""
    table = LinkTable()
    body: dict[str, Any] = {"e": table.place_id(segment.execution), "q": segment.sequence}
    body["p"] = None if segment.parent is None else table.place_id(segment.parent)
    jobs = segment.jobs
    base = jobs[0].start_us if jobs else 0
    numbers, job_ids, parents, tasks_of, starts, durations, statuses, calls = zip(*jobs, strict=True) if jobs else [()] * 8
    tasks: dict[bytes, int] = {task: place for place, task in enumerate(dict.fromkeys(tasks_of))}
    for task in segment.sources:
        tasks.setdefault(task, len(tasks))
    body["t"] = base
    body["T"] = table.place_ids(tasks)
    if segment.sources:
        body["S"] = [[tasks[task], table.place(ref)] for task, ref in segment.sources.items()]
    body["J"] = [
        [number - before for number, before in zip(numbers, [0, *numbers], strict=False)],
        b"".join(job_ids),
        list(parents),
        [tasks[task] for task in tasks_of],
        [start_us - base for start_us in starts],
        list(durations),
        bytes(statuses),
        table.place_ids(calls) if None not in calls else [-1 if call is None else table.place_id(call) for call in calls],
    ]
    if segment.upstreams:
        body["U"] = [
            [number, [[up.slot, table.place_ids(up.calls)] for up in ups]] for number, ups in segment.upstreams.items()
        ]
    if segment.memo:
        body["M"] = [b"".join([key for key, _ in segment.memo]), table.place_ids([call for _, call in segment.memo])]
    if segment.reductions:
        body["R"] = [[key, table.place(ref)] for key, ref in segment.reductions]
    if segment.tags:
        body["G"] = [_tag_row(fact, table) for fact in segment.tags]
    if segment.handles:
        body["H"] = [[event.state, None if event.parents is None else list(event.parents)] for event in segment.handles]
    if segment.kept:
        body["K"] = table.place_ids(segment.kept)
    if segment.outputs:
        body["O"] = [[fact.number, fact.attempt, table.place(fact.ref)] for fact in segment.outputs]
    if segment.extra:
        body["X"] = [list(pair) for pair in segment.extra]
    packed: bytes = msgpack.packb(body, strict_types=True, unicode_errors="surrogatepass")
    return with_links(Kind.SEGMENT, Codec.MSGPACK, Flag.HANDLES if segment.handles else 0, table.ids, packed)


def _tag_row(fact: TagFact, table: LinkTable) -> list[Any]:
    entities = [table.place(ref) for ref in fact.entities] if fact.kind == VALUE_KIND else list(fact.entities)
    return [fact.kind, entities, [list(pair) for pair in fact.pairs]]


def _tag_fact(row: Any, links: Sequence[bytes]) -> TagFact:
    kind, entities, pairs = row
    if kind == VALUE_KIND:
        entities = [body_ref(entity, links) for entity in entities]
    elif not all(type(entity) is bytes for entity in entities):
        raise ValueError(f"tags of kind {kind!r} do not name ids")
    return TagFact(kind, tuple(entities), tuple([(key, value) for key, value in pairs]))


def decode_segment(data: bytes) -> Segment:
    """Decode a segment's object bytes.

    Raises:
        DecodeError: not a segment, or its columns do not fit together.
    """
    kind, codec, _, links, body_bytes = split(data)
    if kind is not Kind.SEGMENT or codec is not Codec.MSGPACK:
        raise DecodeError(f"expected a segment, found {kind.name.lower()}")
    try:
        body = msgpack.unpackb(body_bytes, unicode_errors="surrogatepass", strict_map_key=False)
        return _segment_from(body, links)
    except (KeyError, IndexError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"segment cannot be decoded: {error!r}") from error


def decode_extra(data: bytes) -> list[tuple[str, Any]]:
    """Decode only the `extra` of a segment, for readers that want an execution's end and not its jobs.

    Raises:
        DecodeError: not a segment.
    """
    kind, codec, _, _, body_bytes = split(data)
    if kind is not Kind.SEGMENT or codec is not Codec.MSGPACK:
        raise DecodeError(f"expected a segment, found {kind.name.lower()}")
    try:
        body = msgpack.unpackb(body_bytes, unicode_errors="surrogatepass", strict_map_key=False)
        return [(key, value) for key, value in body.get("X", [])]
    except (AttributeError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"segment cannot be decoded: {error!r}") from error


class Results(NamedTuple):
    """What a segment says of eval hashes, in the order in which that became known.

    Attributes:
        parent: id of the segment before.
        memo: (eval hash, id of the call).
        reductions: (eval hash, ref of the single reduction) of calls that had not finished.
    """

    parent: bytes | None
    memo: list[tuple[bytes, bytes]]
    reductions: list[tuple[bytes, bytes]]


def decode_results(data: bytes) -> Results:
    """Decode only what a segment says of eval hashes.

    Raises:
        DecodeError: not a segment.
    """
    kind, codec, _, links, body_bytes = split(data)
    if kind is not Kind.SEGMENT or codec is not Codec.MSGPACK:
        raise DecodeError(f"expected a segment, found {kind.name.lower()}")
    try:
        body = msgpack.unpackb(body_bytes, unicode_errors="surrogatepass", strict_map_key=False)
        return Results(_parent_from(body, links), _memo_from(body, links), _reductions_from(body, links))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, msgpack.UnpackException) as error:
        raise DecodeError(f"segment cannot be decoded: {error!r}") from error


def _parent_from(body: dict[str, Any], links: Sequence[bytes]) -> bytes | None:
    return None if body["p"] is None else link_at(links, body["p"])


def _reductions_from(body: dict[str, Any], links: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    return [(key, body_ref(item, links)) for key, item in body.get("R", [])]


def _memo_from(body: dict[str, Any], links: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    if "M" not in body:
        return []
    keys, calls = body["M"]
    if len(keys) != len(calls) * ID_BYTES:
        raise ValueError("columns of the memo differ in length")
    return [(keys[i * ID_BYTES : (i + 1) * ID_BYTES], link_at(links, call)) for i, call in enumerate(calls)]


def _segment_from(body: dict[str, Any], links: Sequence[bytes]) -> Segment:
    deltas, job_ids, parents, places, starts, durations, statuses, calls = body["J"]
    count = len(deltas)
    if len(job_ids) != count * JOB_ID_BYTES or not all(
        len(column) == count for column in (parents, places, starts, durations, statuses, calls)
    ):
        raise ValueError("columns of the job table differ in length")
    base = body["t"]
    tasks = [link_at(links, place) for place in body["T"]]
    jobs = []
    number = 0
    for row in range(count):
        number += deltas[row]
        jobs.append(
            JobRecord(
                number,
                job_ids[row * JOB_ID_BYTES : (row + 1) * JOB_ID_BYTES],
                parents[row],
                link_at(tasks, places[row]),
                base + starts[row],
                durations[row],
                Status(statuses[row]),
                None if calls[row] == -1 else link_at(links, calls[row]),
            )
        )
    return Segment(
        execution=link_at(links, body["e"]),
        sequence=body["q"],
        parent=_parent_from(body, links),
        jobs=jobs,
        memo=_memo_from(body, links),
        upstreams={
            number: [Upstream(slot, tuple([link_at(links, call) for call in calls])) for slot, calls in ups]
            for number, ups in body.get("U", [])
        },
        reductions=_reductions_from(body, links),
        sources={link_at(tasks, place): body_ref(item, links) for place, item in body.get("S", [])},
        tags=[_tag_fact(row, links) for row in body.get("G", [])],
        extra=[(key, value) for key, value in body.get("X", [])],
        handles=[_handle_event(state, parents) for state, parents in body.get("H", [])],
        kept=[link_at(links, place) for place in body.get("K", [])],
        outputs=[_output_fact(row, links) for row in body.get("O", [])],
    )


def _output_fact(row: Any, links: Sequence[bytes]) -> OutputFact:
    number, attempt, item = row
    if type(number) is not int or type(attempt) is not int:
        raise ValueError(f"output of job {number!r}, attempt {attempt!r}")
    return OutputFact(number, attempt, body_ref(item, links))


def _handle_event(state: Any, parents: Any) -> HandleEvent:
    for one in (state, *(parents or ())):
        if type(one) is not bytes or len(one) != ID_BYTES:
            raise ValueError(f"a state of a handle has {ID_BYTES} bytes, found {one!r}")
    return HandleEvent(state, None if parents is None else tuple(parents))


def chain(get: Any, head: bytes) -> Iterator[Segment]:
    """Yield the segments of an execution from its newest to its first.

    Args:
        get: `Source.get`.
        head: id of the segment that `executions/<uuid>` names.
    """
    at: bytes | None = head
    while at is not None:
        segment = decode_segment(get(at))
        yield segment
        at = segment.parent
