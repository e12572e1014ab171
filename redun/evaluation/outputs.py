"""What the jobs of one run write, until it is recorded when they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError
from redun.output import Kept, Piece
from redun.task_options import truth

if TYPE_CHECKING:
    from redun.evaluation.job import Job

KEPT_CHARACTERS = 262_144
OPTION = "capture_output"


def kept_characters(section: Mapping[str, Any]) -> int:
    """Return how much of each job's output is kept, as `[scheduler]` says: `capture_output` and `capture_output_size`.

    Returns:
        Characters; 0 for none.

    Raises:
        ConfigError: a value cannot work.
    """
    where = "in section [scheduler]"
    wanted = truth(section.get(OPTION, True))
    if wanted is None:
        raise ConfigError(f"option {OPTION!r} {where}: expected true or false, found {section[OPTION]!r}")
    text = section.get(f"{OPTION}_size", KEPT_CHARACTERS)
    try:
        most = int(text)
    except (TypeError, ValueError):
        most = -1
    if most < 0:
        raise ConfigError(f"option '{OPTION}_size' {where}: expected a number of characters, found {text!r}")
    return most if wanted else 0


class Outputs:
    """Keeps what jobs write. `add` and `put` are for any thread, the rest for the scheduler's.

    Args:
        most: characters to keep of each attempt at a job.

    Attributes:
        kept: job, or attempt at one -> what it has written and nobody has taken yet.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.kept: dict[Job, Kept] = {}

    def add(self, job: Job | None, stream: int, text: str | int) -> None:
        """A job has written to a stream (`Kept.add`)."""
        if job is not None and job.plan.captures:
            kept = self.kept.get(job)
            if kept is None:
                kept = self.kept.setdefault(job, Kept(self.most))
            kept.add(stream, text)

    def put(self, job: Job, kept: Kept) -> None:
        """An executor has kept what a job has written."""
        self.kept[job] = kept

    def take(self, job: Job) -> list[Piece]:
        """Take what a job has written up to now."""
        kept = self.kept.pop(job, None)
        return [] if kept is None else kept.pieces()

    def record(self, job: Job) -> None:
        """A job, or an attempt at one, has ended: what it has written goes into the journal."""
        pieces = self.take(job)
        if pieces:
            job.real.recorder.output(job.real, job.attempt_number, pieces)

    def record_all(self) -> None:
        """The run ends: keep what jobs have written that were stopped, or left behind."""
        for job in list(self.kept):
            self.record(job)
