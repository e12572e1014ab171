"""What jobs wrote while they ran, read from the journal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redun.provenance.history import History
from redun.provenance.model import Job, Output, Written
from redun.store.errors import RedunError
from redun.store.journal import CUT, STDERR, STDOUT
from redun.store.sources.base import Source

_NAMES = {STDOUT: "stdout", STDERR: "stderr"}


class Outputs:
    """Reads output.

    Args:
        source: the store.
        history: gives the jobs of the execution of a job, None if it is gone.
    """

    def __init__(self, source: Source, history: Callable[[Job], History | None]) -> None:
        self._source = source
        self._history = history

    def of(self, job: Job) -> Output | None:
        """Return what a job itself wrote, None if nothing was kept."""
        history = self._history(job)
        facts = history.outputs.get(job.number) if history is not None else None
        if not facts:
            return None
        attempts: dict[int, tuple[Written, ...]] = {}
        for fact in facts:
            attempts[fact.attempt] = (*attempts.get(fact.attempt, ()), *self._written(fact.ref))
        return Output(job, dict(sorted(attempts.items())))

    def _written(self, ref: bytes) -> tuple[Written, ...]:
        # Plain data, and from a store of strangers maybe: nothing that names a class is made.
        from redun.decoding import ValueDecoder

        try:
            return tuple([_piece(*row) for row in ValueDecoder(self._source.get, revive={}, revive_bytes={}).decode(ref)])
        except (RedunError, TypeError, ValueError):
            return (Written("cut", ""),)


def _piece(stream: Any, what: Any) -> Written:
    if stream == CUT:
        return Written("cut", "", int(what))
    if not isinstance(what, str):
        raise TypeError(f"output is text, found {type(what).__name__}")
    return Written(_NAMES.get(stream, "stdout"), what)
