"""Jobs that are added to an execution by another scheduler: the recorder of sub-runs (`Scheduler.extend_run`, `subrun`).

An execution's ref is moved by one recorder only. So a sub-run writes a chain of segments of its own, under a ref below the execution's:
`executions/<uuid>/<digits>`. Its jobs name a job of the execution as parent, and are numbered from a random place far above, so that
readers (`redun.provenance.history`) need only lay the chains together.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from redun.errors import SchedulerError, StoreError
from redun.evaluation.recorder import Recorder
from redun.records import ExecutionRecord
from redun.store.journal import decode_segment

if TYPE_CHECKING:
    from redun.store.sources.base import Source

_NUMBERS_BITS = 24


class Above(NamedTuple):
    """The job that a sub-run belongs to.

    Attributes:
        execution: UUID of its execution.
        number: its number there.
    """

    execution: str
    number: int


class ExtensionRecorder(Recorder):
    """Writes the jobs of a sub-run.

    Args:
        source: the store.
        above: where they belong.

    Attributes:
        first_number: jobs are numbered after it.

    Raises:
        SchedulerError: the execution is not in the store.
    """

    def __init__(self, source: Source, above: Above) -> None:
        ref = f"executions/{above.execution}"
        head = source.read_ref(ref)
        if head is None:
            raise SchedulerError(f"execution {above.execution} cannot be extended: it is not in this store")
        try:
            record = ExecutionRecord.decode(source.get(decode_segment(source.get(head)).execution))
        except StoreError as error:
            raise SchedulerError(f"execution {above.execution} cannot be extended: {error}") from error
        super().__init__(source, record)
        self.ref = f"{ref}/{os.urandom(8).hex()}"
        self.above = above.number
        # At least 1 and below 2^38, so that the numbers of a sub-run fit into 62 bits.
        place = int.from_bytes(os.urandom(8), "big") % (1 << 62 - _NUMBERS_BITS) or 1
        self.first_number = place << _NUMBERS_BITS
