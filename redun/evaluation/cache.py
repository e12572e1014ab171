"""The cache of earlier executions: which stored result a call may take.

    full      memo[eval hash] -> single reduction. Values in it must be valid; expressions in it are evaluated again, so every call
              below is checked against current code and data.
    shallow   memo[key] -> call -> final value, taken at once if every task called below still has the same hash and the value is valid.

A row of the memo is the id of the call (zeros while its subtree has not finished) followed by the ref of the reduction. A stored value
that cannot be read any more is a miss, said once, never a crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from redun.decoding import ValueDecoder
from redun.errors import RedunError
from redun.evaluation.validity import values_in
from redun.records import CallRecord, TaskRecord
from redun.store.ids import ID_BYTES, LINK_MARK, Pieces
from redun.store.objects import Flag
from redun.task import CacheResult, CacheScope, get_task_registry
from redun.value import get_type_registry

if TYPE_CHECKING:
    from redun.evaluation.events import EventLog
    from redun.evaluation.job import Job
    from redun.store.repository import Store

NO_CALL = bytes(ID_BYTES)


def memo_row(call: bytes | None, reduction_ref: bytes) -> bytes:
    """Return the row of the memo for a call (None: its subtree has not finished) and its single reduction."""
    return (call or NO_CALL) + reduction_ref


class Hit(NamedTuple):
    """A stored result that a call may take.

    Attributes:
        value, ref, flags: the single reduction, decoded, or the final value of a shallow hit. data: its object's bytes.
        call, call_data: the call that gave it, with its object bytes; None if its subtree never finished.
        ultimate: the call's record, for a shallow hit.
    """

    value: Any
    ref: bytes
    flags: int
    data: bytes | Pieces
    call: bytes | None
    call_data: bytes | None
    ultimate: CallRecord | None


class Cache:
    """Looks results up in a source.

    Args:
        store: the store.
        log: is told of misses that are worth a word.

    Attributes:
        source: where the store's objects are. decoder: reads its values; for the scheduler's thread.
        restores: files of results are written back where the store keeps their content; False: that they could be is good enough.
    """

    def __init__(self, store: Store, log: EventLog) -> None:
        source = store.source
        self._store = store
        self.source = source
        self._source: Any = source
        self._history: dict[str, list[bytes]] = {}
        self._said: Job | None = None
        self._log = log
        self.decoder = ValueDecoder(source.get, view=source.view)
        self._other: tuple[Any, ValueDecoder] | None = None
        self._current: dict[bytes, bool] = {}
        self.restores = True

    def lookup(self, job: Job) -> Hit | None:
        """Return the result that a job may take, or None if it has to run."""
        plan = job.plan
        allowed = plan.allowed
        if plan.shallow and (allowed is None or CacheResult.ULTIMATE in allowed):
            row = self._source.memo_get(job.key)
            if row is not None and row[:ID_BYTES] != NO_CALL:
                hit, settled = self._shallow(job, row)
                if settled:
                    return hit
        if allowed is not None and CacheResult.SINGLE not in allowed:
            return None
        row = self._source.memo_get(job.eval_key)
        return None if row is None else self._full(job, row)

    def take(self, job: Job, row: bytes, source: Any, whole: bool) -> Hit | None:
        """Return the result of somebody else, if a job may take it.

        Args:
            row: as the memo would have it.
            source: has the objects of the reduction, or of the call and all that it leads to.
            whole: a shallow check is to be made.
        """
        before = self._source, self.decoder
        if self._other is None or self._other[0] is not source:
            self._other = source, ValueDecoder(source.get, view=source.view)
        self._source, self.decoder = self._other
        try:
            # The call is made here, from what its children give.
            return self._shallow(job, row)[0] if whole else self._full(job, NO_CALL + row[ID_BYTES:])
        finally:
            self._source, self.decoder = before

    def _full(self, job: Job, row: bytes) -> Hit | None:
        call, ref = row[:ID_BYTES], row[ID_BYTES:]
        try:
            data = ref if ref[0] != LINK_MARK else self._source.pieces(ref[1:])
            value = self.decoder.decode_object(data)
            call_data = None if call == NO_CALL else self._source.get(call)
        except RedunError as error:
            self._said = job
            self._log.miss(job, f"Cached result cannot be used: {error}")
            return None
        flags = data[3]
        if flags & Flag.SUBVALUES and not self._is_valid(job, value):
            return None
        return Hit(value, ref, flags, data, None if call_data is None else call, call_data, None)

    def _shallow(self, job: Job, row: bytes) -> tuple[Hit | None, bool]:
        """Return a hit, if it is one, and whether that settles the matter: an invalid final value does, a changed task does not."""
        call = row[:ID_BYTES]
        try:
            call_data = self._source.get(call)
            record = CallRecord.decode(call_data)
            if record.failed or not all(map(self._is_current, record.tasks)):
                return None, False
            ref = record.result
            data = ref if ref[0] != LINK_MARK else self._source.pieces(ref[1:])
            value = self.decoder.decode_object(data)
        except RedunError as error:
            self._said = job
            self._log.miss(job, f"Cached result cannot be used: {error}")
            return None, False
        if data[3] & Flag.SUBVALUES and not self._is_valid(job, value):
            return None, True
        return Hit(value, ref, data[3], data, call, call_data, record), True

    def lookup_recovery(self, key: bytes) -> tuple[Any, bytes, bytes] | None:
        """Return what a handler of `catch` returned, if every task that was called before is unchanged, and the call that says so.

        Returns:
            the value, id and object bytes of the call.
        """
        row = self._source.memo_get(key)
        return None if row is None else self.recovery_of(row)

    def recovery_of(self, row: bytes) -> tuple[Any, bytes, bytes] | None:
        """Return what a row of the memo says of what was recovered; see `lookup_recovery`."""
        try:
            call = row[:ID_BYTES]
            data = self._source.get(call)
            if not all(map(self._is_current, CallRecord.decode(data).tasks)):
                return None
            value = self.decoder.decode(row[ID_BYTES:])
            return (value, call, data) if self._first_invalid(value) is None else None
        except RedunError:
            return None

    def _is_current(self, task_id: bytes) -> bool:
        """True if the task with this id is the one that is registered under its name now."""
        known = self._current.get(task_id)
        if known is None:
            record = TaskRecord.decode(self._source.get(task_id))
            task = get_task_registry().get(record.fullname)
            known = self._current[task_id] = task is not None and task.id == task_id
        return known

    def _is_valid(self, job: Job, value: Any) -> bool:
        invalid = self._first_invalid(value, job)
        if invalid is None:
            return True
        self._said = job
        self._log.invalid(job, *invalid)
        return False

    def _first_invalid(self, nested: Any, job: Job | None = None) -> tuple[Any] | None:
        """Return, in a tuple, a value inside a nested one that is not valid any more; None if all are."""
        registry = get_type_registry()
        for leaf in values_in(nested):
            try:
                kept = getattr(leaf, "kept", None)
                valid = registry.is_valid(leaf) if kept is None else self._has_files(leaf, job)
            except Exception:
                # A user's `is_valid` that fails cannot vouch for the value.
                valid = False
            if not valid:
                return (leaf,)
        return None

    def _has_files(self, file: Any, job: Job | None) -> bool:
        """Tell whether a file or folder whose content is kept is there as it was, having written back what is not."""
        from redun.files.restore import can_restore, is_missing, mark, restore

        try:
            written = 0
            if not file.is_valid() or is_missing(file):
                if not self.restores:
                    return can_restore(file, self._source)
                written = restore(file, self._source)
            if not file.is_valid():
                return False
        except RedunError as error:
            if job is not None:
                self._log.miss(job, str(error))
            return False
        mark(file)
        if written and job is not None:
            self._log.restored(job, file, written)
        return True

    def explain_miss(self, job: Job) -> None:
        """Say why a job would run: for dry runs."""
        if self._said is not job:
            self._log.miss(job, self._why(job))

    def _why(self, job: Job) -> str:
        plan = job.plan
        name, new = plan.fullname, plan.task_id.hex()[:8]
        if plan.scope is not CacheScope.BACKEND:
            return f"Task '{name}()' does not look results up in the store"
        known = self._earlier(name)
        for task_id in known:
            if (
                task_id != plan.task_id
                and self._source.memo_get(plan.eval_hash(job.arg_refs, job.kwarg_refs, task_id)) is not None
            ):
                return f"New task '{name}()' with previous arguments: its code has changed (task_hash={task_id.hex()[:8]} --> {new})"
        if plan.task_id in known:
            return (
                f"Existing task '{name}()' is called with new arguments (task_hash={new}, eval_hash={job.eval_key.hex()[:8]})"
            )
        if known:
            return f"New task '{name}()' is called with new arguments: its code has changed, too (task_hash={new})"
        return f"New task '{name}()' is called with new arguments: it has never run here (task_hash={new})"

    def _earlier(self, fullname: str) -> list[bytes]:
        """Ids of the tasks of that name that have been recorded."""
        known = self._history.get(fullname)
        if known is None:
            from redun.provenance import Provenance

            tasks = Provenance(self._store).tasks(fullname)
            known = self._history[fullname] = [bytes.fromhex(task.hash) for task in tasks if task.fullname == fullname]
        return known
