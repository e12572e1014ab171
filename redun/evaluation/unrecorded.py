"""Recorders that write nothing: of dry runs, and of jobs that have `prov=False` at or above them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redun.encoding import ValueEncoder
from redun.evaluation.recorder import Recorder

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.records import CallRecord
    from redun.store.ids import Pieces


class DryRecorder(Recorder):
    """The recorder of a dry run: collects, so that everything goes its usual way, and writes nothing."""

    def put_ahead(self, oid: bytes, data: Pieces, look: bytes) -> None:
        """Write nothing."""

    def commit(self) -> None:
        """Forget what was collected."""
        self._forget()


class NoRecorder:
    """The recorder of jobs that have `prov=False` at or above them: nothing of them is kept, nothing is looked up."""

    records = False
    first_number = 0
    stage = None

    def __init__(self) -> None:
        self.encoder = ValueEncoder()

    def _ignore(self, *facts: Any) -> None:
        return None

    put = put_all = needs_object = was_read = needs_value = keep = after_wait = created = dropped = reduction = memo = (
        recovery
    ) = finished = new_task = _ignore
    tag = tag_value = tag_execution = note = handle = output = tick = commit = end = _ignore

    def before_wait(self) -> float | None:
        """Nothing is waiting to be committed."""
        return None

    def live_jobs(self) -> list[Job]:
        """No job is known."""
        return []

    def pending(self, oid: bytes) -> bytes | None:
        """Nothing waits to be written."""
        return None

    def call_record(self, call: bytes) -> CallRecord | None:
        """No call is known."""
        return None

    def tasks_of(self, calls: Iterable[bytes]) -> set[bytes] | None:
        """No call is known."""
        return None
