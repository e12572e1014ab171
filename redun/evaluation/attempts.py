"""Attempts: jobs that may be tried again, or that have a time-out.

What an executor gets of such a job is an `Attempt`, one for each try, so that whatever comes back late from one that was given up is told
apart from its successor. Jobs without these options never come here.

**Time-outs.** When its time is up an attempt fails at once, and its executor is asked to stop it. A process is killed. A thread cannot be:
it ends by itself, its result is thrown away, and until then it keeps the limits that it took.

**Retries.** A failed attempt gives its limits back; after a pause, which doubles from one to the next, the job takes them again and has
another try. Each attempt of a job that needed more than one is noted in the journal.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING, Any

from redun.errors import JobTimeout
from redun.evaluation.job import Column, Job
from redun.evaluation.node import Node, State
from redun.store.journal import Status
from redun.task_options import Life

if TYPE_CHECKING:
    from redun.evaluation.calls import Calls
    from redun.evaluation.evaluation import Evaluation

_SLOTS = [name for cls in (Node, Job) for name in cls.__slots__]
_DEADLINE, _AGAIN = range(2)


class Attempt(Job):
    """One try at a job: to an executor, the job itself.

    Attributes:
        real: the job.
        attempt: its number, from 1.
        given_up: its time was up; what it gives is thrown away.
    """

    __slots__ = ("attempt", "attempts", "given_up", "real_job", "started_us")

    def __init__(self, job: Job, number: int, attempts: Attempts) -> None:
        # Not that of a job: this one stands for one that exists.
        for name in _SLOTS:
            setattr(self, name, getattr(job, name))
        self.real_job = job
        self.attempt = number
        self.attempts = attempts
        self.given_up = False
        self.holds_limits = False
        self.at_executor = True
        self.started_us = time.time_ns() // 1000

    @property
    def real(self) -> Job:
        """The job that this is an attempt at."""
        return self.real_job

    @property
    def attempt_number(self) -> int:
        """Which try this is, from 1."""
        return self.attempt

    @property
    def tells_begin(self) -> bool:
        """Its time counts from when it begins, so its executor has to say when."""
        return self.life.timeout_s is not None

    @property
    def life(self) -> Life:
        """How long it may take, and how often it may be tried."""
        assert self.plan.life is not None
        return self.plan.life

    def begun(self, evaluation: Evaluation) -> None:
        """It runs from now on: a request to the scheduler's loop."""
        self.attempts.set_deadline(self)


class Attempts:
    """Keeps the time of attempts, and tries again.

    Args:
        calls: the calls of the run.

    Attributes:
        lingering: attempts that were given up, but still hold limits.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._timers: list[tuple[float, int, int, Job]] = []
        self._sequence = 0
        self._numbers: dict[Job, int] = {}
        self._closing = False
        self.lingering = 0

    def begin(self, job: Job) -> Attempt:
        """Make the next attempt at a job."""
        number = self._numbers[job] = self._numbers.get(job, 0) + 1
        attempt = Attempt(job, number, self)
        if attempt.tells_begin and not self._calls.executors.require(job.plan.executor).tells_begin():
            self.set_deadline(attempt)
        return attempt

    def set_deadline(self, attempt: Attempt) -> None:
        """The time of an attempt begins."""
        attempt.started_us = time.time_ns() // 1000
        timeout_s = attempt.life.timeout_s
        if timeout_s is not None and attempt.at_executor:
            self._push(timeout_s, _DEADLINE, attempt)

    def _push(self, after_s: float, what: int, job: Job) -> None:
        self._sequence += 1
        heapq.heappush(self._timers, (time.monotonic() + after_s, self._sequence, what, job))

    def completed(self, attempt: Attempt, ok: bool, result: Any) -> None:
        """An executor hands an attempt back."""
        if not attempt.at_executor:
            return
        attempt.at_executor = False
        if attempt.given_up:
            self._release(attempt)
        elif ok:
            self._end(attempt, None)
            self._calls.completed(attempt.real, True, result)
        else:
            self._failed(attempt, result)

    def _release(self, attempt: Attempt) -> None:
        """The thread of an attempt that was given up has ended: its limits are free now."""
        if attempt.holds_limits:
            attempt.holds_limits = False
            self.lingering -= 1
            self._calls.admit(attempt)

    def _failed(self, attempt: Attempt, error: BaseException) -> None:
        life, job = attempt.life, attempt.real
        again = attempt.attempt <= life.retries and life.covers(error) and not self._closing and job.state is State.RUNNING
        self._end(attempt, error, last=not again)
        if not again:
            self._calls.completed(job, False, error)
            return
        pause_s = life.pause_s(attempt.attempt)
        self._calls.log.retry(job, attempt.attempt, life.retries + 1, pause_s, error)
        self._calls.give_up(job)
        job.move(State.LIMITED)
        job.count(Column.PENDING)
        self._push(pause_s, _AGAIN, job)

    def _end(self, attempt: Attempt, error: BaseException | None, last: bool = True) -> None:
        """Note an attempt, if it is not the only one of its job."""
        job = attempt.real
        if last:
            self._numbers.pop(job, None)
        if attempt.attempt == 1 and last:
            return
        from redun.evaluation.text import error_text

        fact: dict[str, Any] = {
            "job": job.id,
            "attempt": attempt.attempt,
            "start": attempt.started_us,
            "duration": time.time_ns() // 1000 - attempt.started_us,
            "status": int(Status.DONE if error is None else Status.FAILED),
        }
        if error is not None:
            fact["error"] = f"{type(error).__qualname__}: {error_text(error)}"[:1000]
        job.recorder.note("attempt", fact)

    # Time.

    def next_s(self) -> float | None:
        """Seconds until something is due, None if nothing is."""
        return max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None

    def will_retry(self) -> bool:
        """Tell whether a job is to be tried again."""
        return any(what == _AGAIN for _, _, what, _ in self._timers)

    def is_waiting(self) -> bool:
        """Tell whether something will happen though no executor has a job."""
        return bool(self._timers or self.lingering)

    def tick(self) -> bool:
        """Do what is due; True if anything was."""
        timers = self._timers
        if not timers:
            return False
        now = time.monotonic()
        due = timers[0][0] <= now
        while timers and timers[0][0] <= now:
            _, _, what, job = heapq.heappop(timers)
            if what == _AGAIN:
                self._calls.again(job)
            elif isinstance(job, Attempt) and job.at_executor and not job.given_up:
                self._time_out(job)
        return due

    def _time_out(self, attempt: Attempt) -> None:
        job = attempt.real
        attempt.given_up = True
        stopped = self._calls.executors.cancel(attempt)
        if stopped:
            attempt.at_executor = False
        elif job.holds_limits:
            # They are the thread's until it ends.
            job.holds_limits = False
            attempt.holds_limits = True
            self.lingering += 1
        self._failed(
            attempt,
            JobTimeout(
                f"{job.plan.fullname} (job {job.short_id}) did not end within its time-out of {attempt.life.timeout_s:g} s"
            ),
        )

    def close(self) -> None:
        """The run has failed: nothing is tried again. Time-outs of what runs go on."""
        self._closing = True
        self._timers = [timer for timer in self._timers if timer[2] == _DEADLINE]
        heapq.heapify(self._timers)
