"""What travels between the scheduler and workers of other processes: jobs one way, results the other.

Values travel in the encoding of the store, never as pickles of themselves: an argument as the object that was made for its hash, a result
as the object that the worker made, whose id the scheduler takes over as it is. Large ones do not travel at all where both sides reach the
store: the worker writes them there, or reads them from there, and only the id rides in the message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from redun.content import RAW
from redun.decoding import ValueDecoder
from redun.encoding import ValueEncoder, restore, value_bytes
from redun.errors import EncodeError, ValueEncodeError
from redun.evaluation.text import format_value
from redun.evaluation.undecoded import EncodedResult, Undecoded, decoded
from redun.executors.streams import Ends, Mark
from redun.expression import ApplyExpression, QuotedExpression, ValueExpression
from redun.job_info import JobInfo
from redun.nested import ATOMS, iter_leaves
from redun.output import Piece
from redun.store.ids import INLINE_MAX, LINK_MARK, Pieces, link_ref, object_id
from redun.store.objects import Flag, links
from redun.store.rows import BLOB_ABOVE
from redun.task import PartialTask, Task
from redun.threads import Thread
from redun.value import get_type_registry

MOST_BYTES = 1 << 20
"""Arguments above this are written to the store early rather than sent, if the worker reaches it."""

OBJECT, STORED, PACKED = range(3)

READY, SET_UP = -1, -2

Part = tuple[int, bytes]
"""An argument: OBJECT its object's bytes, STORED its id in the store, PACKED what `value_bytes` gives."""


class JobMessage(NamedTuple):
    """A job on its way to a worker.

    Attributes:
        key: number that the result carries.
        module, task, task_id: where the task is defined, its fullname, and the id that it must have there.
        args, kwargs: the arguments. modules: where the tasks are defined that these name.
        tells: send word when it begins.
        keeps_files: keep the content of files in the result (`redun.evaluation.plan.kept_files`).
    """

    key: int
    module: str
    task: str
    task_id: bytes
    args: list[Part]
    kwargs: dict[str, Part]
    tells: bool
    modules: tuple[str, ...] = ()
    keeps_files: bool | None = False

    def size(self) -> int:
        """Return how many bytes its arguments are."""
        size = 0
        for _, data in self.args:
            size += len(data)
        for name, (_, data) in self.kwargs.items():
            size += len(name) + len(data)
        return size


class ResultMessage(NamedTuple):
    """What a worker sends back.

    Attributes:
        key: of the job; or `READY`, or `SET_UP` when a worker has imported what its first job needs.
        begun: the job has begun, and nothing more.
        duration_s: how long it ran. cpu_s: how long this process computed meanwhile.
        result: the parts of an `EncodedResult`; None if it failed.
        error: `value_bytes` of its exception. trace: lines of the traceback.
        ends, marks: where what it wrote to its standard streams ends, if they are kept (`redun.executors.streams`).
        written: pieces of what it has written elsewhere.
    """

    key: int
    begun: bool = False
    duration_s: float = 0.0
    cpu_s: float = 0.0
    result: tuple[Any, ...] | None = None
    error: bytes = b""
    trace: list[str] | None = None
    ends: Ends | None = None
    marks: list[Mark] | None = None
    written: list[Piece] | None = None


def modules_of(arguments: Any) -> tuple[str, ...]:
    """List the modules that define the tasks in arguments: tasks themselves, closures, and expressions, quoted ones too."""
    found: dict[str, None] = {}
    seen: set[int] = set()
    pending = [arguments]
    while pending:
        for leaf in iter_leaves(pending.pop()):
            if type(leaf) in ATOMS or id(leaf) in seen:
                continue
            seen.add(id(leaf))
            if isinstance(leaf, PartialTask):
                pending.append([leaf.task, leaf.args, leaf.kwargs])
            elif isinstance(leaf, Task):
                found[leaf.load_module] = None
            elif isinstance(leaf, ApplyExpression):
                pending.append([getattr(leaf, "task", None), leaf.args, leaf.kwargs])
            elif isinstance(leaf, ValueExpression):
                pending.append(leaf.value)
            elif isinstance(leaf, QuotedExpression | Thread):
                pending.append(leaf.expr)
    return tuple(found)


def argument(job: Any, ref: bytes, value: Any, source: Any) -> Part:
    """Return an argument as it travels.

    Args:
        ref: its ref, as the job's record has it.
        source: the store, if workers reach it, else None.

    Raises:
        EncodeError: it cannot be encoded.
    """
    if type(value) is JobInfo:
        # Recorded as a blank one.
        return PACKED, value_bytes(value)
    if ref[0] != LINK_MARK:
        return OBJECT, ref
    oid = ref[1:]
    if type(value) is Undecoded and source is not None:
        # A worker has put it there since we looked last, maybe.
        if not source.contains(oid):
            source.refresh()
        if source.contains(oid):
            return STORED, oid
    data = job.recorder.pending(oid)
    if data is not None and not links(data if type(data) is not Pieces else data.head):
        if len(data) <= MOST_BYTES or source is None:
            return OBJECT, bytes(data)
        job.recorder.commit()
        return STORED, oid
    if data is None and source is not None and source.contains(oid):
        return STORED, oid
    return PACKED, value_bytes(decoded(value))


def value_of(part: Part, get: Callable[[bytes], bytes]) -> Any:
    """Return the value of an argument.

    Raises:
        DecodeError, ObjectNotFound, DamagedObject: it cannot be had.
    """
    kind, data = part
    if kind == OBJECT:
        return ValueDecoder(get).decode_object(data)
    if kind == STORED:
        return ValueDecoder(get).decode(link_ref(data))
    return restore(data)


def _has_a_say(value: Any) -> bool:
    """True if something in a value wants to know when it becomes an argument or a result."""
    registry = get_type_registry()
    kinds = {type(leaf) for leaf in iter_leaves(value)}
    return any(registry.has_postprocess(kind) or registry.has_preprocess(kind) for kind in kinds)


def encode_result(
    value: Any,
    put: Callable[[Mapping[bytes, bytes | Pieces]], None] | None,
    contains: Callable[[bytes], bool] | None = None,
) -> EncodedResult:
    """Encode what a task returned.

    Args:
        put: writes objects to the store, if it can be reached: large ones go there.
        contains: tells whether the store has an object.

    Raises:
        EncodeError: it cannot be recorded.
    """
    if put is not None and type(value) is bytes and len(value) > BLOB_ABOVE:
        pieces = Pieces(RAW, value)
        oid = object_id(pieces)
        put({oid: pieces})
        return EncodedResult(link_ref(oid), 0, {}, (oid,), format_value(value))
    objects: dict[bytes, bytes] = {}
    keeps = None if contains is None else lambda content: content.oid in objects or contains(content.oid)
    # They are written before anybody can change them.
    ahead = None if put is None else lambda oid, data, look: objects.__setitem__(oid, data)
    encoder = ValueEncoder(objects.__setitem__, keeps=keeps, ahead=ahead)
    try:
        data = encoder.object(value)
    except EncodeError:
        raise
    except Exception as error:
        raise ValueEncodeError(f"{type(error).__name__}: {error}") from error
    flags = encoder.flags
    if len(data) <= INLINE_MAX:
        return EncodedResult(data, flags, objects)
    oid = object_id(data)
    objects[oid] = data
    if put is not None and any(len(part) > BLOB_ABOVE for part in objects.values()):
        put(objects)
        looked_into = flags & (Flag.EXPRESSION | Flag.SUBVALUES) or encoder.counts_as or _has_a_say(value)
        return EncodedResult(link_ref(oid), flags, {}, tuple(objects), "" if looked_into else format_value(value) or "...")
    return EncodedResult(link_ref(oid), flags, objects)
