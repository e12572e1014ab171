"""The traceback of a failed job as a value, which pickles and travels."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from traceback import FrameSummary
from typing import Any

from redun.traceback_lines import is_ours
from redun.value import Value


class Traceback(Value):
    """Where an error came up.

    Args:
        error: the exception.
        frames: from the outermost to the one that raised it.
        logs: lines that the job wrote before.
    """

    type_name = "redun.Traceback"

    def __init__(self, error: Any, frames: list[FrameSummary], logs: list[str] | None = None) -> None:
        self.error = error
        self.frames = frames
        self.logs: list[str] = logs or []

    def __getstate__(self) -> dict[str, Any]:
        for frame in self.frames:
            # From Python 3.13 on a frame holds its code, which does not pickle.
            if hasattr(frame, "_code"):
                frame._code = None
        return {"error": self.error, "frames": self.frames, "logs": self.logs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.error, self.frames, self.logs = state["error"], state["frames"], state["logs"]

    @classmethod
    def from_error(cls, error: BaseException, trim_frames: bool = True) -> Traceback:
        """Return the traceback of an exception.

        Args:
            trim_frames: leave out redun's own frames around the user's.
        """
        frames = list(traceback.extract_tb(error.__traceback__))
        return cls(error, cls.trim_frames(frames) if trim_frames else frames)

    @classmethod
    def trim_frames(cls, frames: list[FrameSummary]) -> list[FrameSummary]:
        """Return the frames after the last one of redun's own."""
        last = max([place for place, frame in enumerate(frames) if is_ours(frame.filename)], default=-1)
        return frames[last + 1 :]

    def format(self) -> Iterator[str]:
        """Yield the lines of the traceback, the error last."""
        for entry in traceback.format_list(self.frames):
            yield from entry.rstrip("\n").split("\n")
        yield f"{type(self.error).__name__}: {self.error}"
        if self.logs:
            yield ""
            yield "Latest logs:"
            yield from self.logs
