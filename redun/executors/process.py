"""A pool of worker processes.

One thread of the scheduler's process, the dispatcher, owns the workers: it starts them, sends each that is idle a batch of jobs, and
takes results, all that are there for one system call and one entry in the queue of completions. Where a worker is idle when jobs come the
scheduler's thread sends them itself, if they are small enough never to block it: another thread would have to be woken up for that.

**Batches.** A job that takes 20 us must not wait for a round trip of 100 us, so a worker gets as many jobs as are expected to take 2 ms
together (`redun.executors.pace`). Results are written one by one, so that nothing is lost with a worker, but while batches are under way
the dispatcher looks for them only every half millisecond.

**Growth.** As many workers as there are processors at first; more, up to `max_workers`, when all are busy and that pays, for tasks may
wait for something other than a processor.

**Death.** A worker that ends fails the job that it was running, with a message; jobs of its batch that it had not begun go to others,
and a new worker is started when one is needed. If one ends by itself before any was ready, all
jobs fail, as there is no use in more; one that was killed by then is replaced, a few times.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from redun.encoding import restore
from redun.errors import EncodeError, ExecutorError, InternalError, RedunError, WorkerLost
from redun.evaluation.failure import TOLD_ELSEWHERE
from redun.evaluation.undecoded import EncodedResult
from redun.executors.messages import READY, SET_UP, JobMessage, ResultMessage, argument, modules_of
from redun.executors.pace import Pace
from redun.executors.worker import Settings
from redun.executors.worker_process import WorkerProcess, how_it_ended, start_worker
from redun.nested import ATOMS
from redun.output import Kept

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.evaluation.outputs import Outputs

_ROUND_S = 0.0005
"""How often results of batches are looked for."""

_AT_ONCE_BYTES = 1 << 15
"""So much always fits into the pipe of a worker that has read all before."""

_END_S = 2.0
_KILL_WITHIN_S = 1.0
_PASS_ON_S = 0.1
_PASS_ON_MOST_S = 2.0
_MOST_STILLBORN = 5


class ProcessPool:
    """Runs jobs in processes. `submit`, `drop_waiting`, `cancel` and `stop` are for the scheduler's thread.

    Args:
        name: of the executor, for messages.
        max_workers: the most processes there may be.
        start_method: `fork`, `spawn` or `forkserver`.
        settings: what workers have to know.
        source: the store, if workers reach it, else None.
        completions: where jobs are handed back.
        outputs: what keeps the output of jobs, None if nothing does.
    """

    def __init__(
        self,
        name: str,
        max_workers: int,
        start_method: str,
        settings: Settings,
        source: Any,
        completions: SimpleQueue[Any],
        outputs: Outputs | None = None,
    ) -> None:
        self._name = name
        self._max_workers = max_workers
        self._start_method = start_method
        self._settings = settings
        self._source = source
        self._completions = completions
        self._outputs = outputs
        self._passed_on_s = 0.0
        self._pass_on_s = _PASS_ON_S
        self._lock = threading.Lock()
        self._waiting: deque[tuple[JobMessage, Job]] = deque()
        self._workers: list[WorkerProcess] = []
        self._pace = Pace()
        # How long the dispatcher sleeps at most, None for ever; when something was heard of a worker; when results were looked for.
        self._sleeps_s: float | None = None
        self._heard_s = 0.0
        self._round_s = 0.0
        self._forking = 0
        self._forked: deque[WorkerProcess] = deque()
        self._keys = 0
        self._stopping = False
        self._killing = False
        self._any_ready = False
        self._stillborn = 0
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._dispatch, name=f"redun-{name}-dispatcher", daemon=True)
        self._thread.start()

    # The scheduler's side.

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take jobs."""
        taken = []
        for job in jobs:
            try:
                taken.append((self._message(job), job))
            except EncodeError as error:
                self._completions.put((job, False, error))
        with self._lock:
            self._waiting.extend(taken)
            for worker, batch in self._batches(_AT_ONCE_BYTES):
                # While the lock is held nobody closes the pipe.
                self._send(worker, batch)
            wanted_s = self._wanted_s()
            awake = wanted_s is None or (self._sleeps_s is not None and self._sleeps_s <= wanted_s)
        if not awake:
            self._wake()

    def _message(self, job: Job) -> JobMessage:
        self._keys += 1
        plan, source = job.plan, self._source
        task = plan.task
        positional, keywords = job.positional, job.keywords
        plain = not keywords and ATOMS.issuperset(map(type, positional))
        return JobMessage(
            self._keys,
            task.load_module,
            task.fullname,
            plan.task_id,
            [argument(job, ref, value, source) for ref, value in zip(job.arg_refs, positional, strict=True)],
            {name: argument(job, job.kwarg_refs[name], value, source) for name, value in keywords.items()},
            job.tells_begin,
            () if plain else modules_of([positional, keywords]),
            plan.keeps_files if job.recorder.records else False,
        )

    def drop_waiting(self) -> list[Job]:
        """Give back the jobs that no worker has been sent."""
        with self._lock:
            dropped = [job for _, job in self._waiting]
            self._waiting.clear()
        return dropped

    def busy_jobs(self) -> list[Job]:
        """List what workers run; any thread may ask."""
        return [job for worker in self._workers.copy() for _, job in list(worker.running)[:1]]

    def cancel(self, job: Job) -> bool:
        """Stop a job: True, it is not handed back any more (unless it just was)."""
        with self._lock:
            for entry in self._waiting:
                if entry[1] is job:
                    self._waiting.remove(entry)
                    return True
            for worker in self._workers:
                if any(running is job for _, running in worker.running):
                    worker.cancelled = job
                    worker.kill()
                    return True
        return True

    def stop(self, kill: bool = False) -> None:
        """End all workers: those that run something are killed. Returns when none is left, or a second after `kill`.

        Args:
            kill: kill those that are idle, too.
        """
        with self._lock:
            self._stopping = True
            self._killing = kill
            self._waiting.clear()
        self._wake()
        # It may be waiting for a worker that is just being started: that one ends with this process, or when the dispatcher has it.
        self._thread.join(_KILL_WITHIN_S if kill else None)

    def _wake(self) -> None:
        # Full means that it will wake up anyway; closed, that it has ended.
        with contextlib.suppress(BlockingIOError, OSError):
            os.write(self._wake_write, b"w")

    # The dispatcher's side.

    def _dispatch(self) -> None:
        try:
            while not self._stopping:
                self._assign()
                pause_s = self._round_s + _ROUND_S - time.monotonic()
                if pause_s > 0 and any(len(worker.running) > 1 for worker in self._workers):
                    # More of the batch will be there then.
                    time.sleep(pause_s)
                events = self._selector.select(self._sleeps_s)
                self._round_s = time.monotonic()
                if self._outputs is not None:
                    self._pass_on()
                done: list[Any] = []
                for key, _ in events:
                    if key.data is None:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 4096)
                    else:
                        key.data(done)
                if done:
                    self._completions.put(done if len(done) > 1 else done[0])
        except BaseException as error:
            self._fail_all(InternalError(f"the dispatcher of executor {self._name!r} has failed: {error!r}"))
        finally:
            self._end_workers()

    def _pass_on(self) -> None:
        """Let the user see what running jobs have written: soon at first, then less and less often, as long as they write nothing."""
        now = time.monotonic()
        if now - self._passed_on_s >= self._pass_on_s:
            self._passed_on_s = now
            wrote = [worker.output.pass_on() for worker in self._workers if worker.output is not None and worker.running]
            self._pass_on_s = _PASS_ON_S if any(wrote) else min(2 * self._pass_on_s, _PASS_ON_MOST_S)

    def _assign(self) -> None:
        """Send jobs to idle workers, start more if that pays, and see how long to sleep then."""
        while self._forked:
            self._register(self._forked.popleft())
        with self._lock:
            batches = list(self._batches(None))
        for worker, batch in batches:
            self._send(worker, batch)
        with self._lock:
            more = self._missing_workers()
        for _ in range(more):
            self._start()
        with self._lock:
            self._sleeps_s = self._wanted_s()

    def _batches(self, most_bytes: int | None) -> Iterator[tuple[WorkerProcess, list[tuple[JobMessage, Job]]]]:
        """Take jobs from the queue for the workers that are idle.

        Args:
            most_bytes: how large the arguments of a batch may be.
        """
        waiting = self._waiting
        idle = [worker for worker in self._workers if worker.ready and not worker.running] if waiting else []
        while waiting and idle:
            count = self._pace.batch_size((message.task for message, _ in waiting), -(-len(waiting) // len(idle)))
            batch = [waiting.popleft() for _ in range(count)]
            if most_bytes is not None and sum(message.size() for message, _ in batch) > most_bytes:
                waiting.extendleft(reversed(batch))
                return
            worker = idle.pop()
            worker.running.extend([(message.key, job) for message, job in batch])
            yield worker, batch

    def _send(self, worker: WorkerProcess, batch: list[tuple[JobMessage, Job]]) -> None:
        try:
            worker.channel.send([tuple(message) for message, _ in batch])
        except OSError:
            # It has died just now; its end is told in a moment, and none of these had begun.
            worker.running.clear()
            self._waiting.extendleft(reversed(batch))

    def _missing_workers(self) -> int:
        """Return how many workers to start."""
        waiting, coming = len(self._waiting), self._forking + len(self._forked)
        there = len(self._workers) + coming
        if not waiting or there >= self._max_workers:
            return 0
        first = min(waiting, self._max_workers, os.cpu_count() or 1) - there
        if first > 0:
            return first
        if not self._may_grow():
            return 0
        task = self._waiting[0][0].task
        silent_s = time.monotonic() - self._heard_s
        if silent_s < self._pace.patience_s() and not self._pace.pays(task, waiting, len(self._workers)):
            return 0
        return min(waiting, max(len(self._workers), 1), self._max_workers - len(self._workers))

    def _may_grow(self) -> bool:
        """Tell whether jobs wait, all workers are busy, none is about to begin, and there may be more of them."""
        if not self._waiting or self._forking or self._forked or len(self._workers) >= self._max_workers:
            return False
        return all(worker.set_up for worker in self._workers)

    def _wanted_s(self) -> float | None:
        """Return after how long the dispatcher has something to do though it hears of nobody, None if never."""
        if self._waiting and (not self._workers or any(worker.ready and not worker.running for worker in self._workers)):
            # Jobs that are too large for the scheduler's thread to send, or nobody to run them.
            return 0.0 if not self._forking and not self._forked else None
        wanted_s = None
        if self._may_grow():
            wanted_s = max(0.0, self._heard_s + self._pace.patience_s() - time.monotonic())
        if self._outputs is not None and any(worker.running for worker in self._workers):
            wanted_s = self._pass_on_s if wanted_s is None else min(wanted_s, self._pass_on_s)
        return wanted_s

    def _start(self) -> None:
        if self._start_method != "fork":
            worker = self._new_worker()
            if worker is not None:
                self._register(worker)
            return
        # What other threads are about at that moment stays referred to in the child for ever, and LMDB does not open a store again to
        # which there are references. So it is the scheduler's thread that forks, between two steps, when it is not inside the store.
        with self._lock:
            self._forking += 1
        self._completions.put(self._fork)

    def _fork(self, evaluation: Any) -> None:
        """A request to the scheduler's loop."""
        if self._stopping:
            return
        worker = self._new_worker()
        with self._lock:
            self._forking -= 1
            if worker is not None:
                self._forked.append(worker)
        self._wake()

    def _new_worker(self) -> WorkerProcess | None:
        try:
            return start_worker(self._start_method, f"redun-{self._name}", self._settings, self._outputs is not None)
        except Exception as error:
            self._fail_all(ExecutorError(f"executor {self._name!r} cannot start a worker process: {error}"))
            return None

    def _register(self, worker: WorkerProcess) -> None:
        with self._lock:
            self._workers.append(worker)
        self._selector.register(worker.channel, selectors.EVENT_READ, lambda done: self._receive(worker, done))
        self._selector.register(worker.process.sentinel, selectors.EVENT_READ, lambda done: self._ended(worker, done))

    def _receive(self, worker: WorkerProcess, done: list[Any]) -> None:
        """Take what a worker has sent."""
        try:
            messages = worker.channel.receive()
        except (EOFError, OSError):
            # Its process has ended, which its sentinel tells, too.
            self._ended(worker, done)
            return
        self._heard_s = self._round_s
        for message in messages:
            self._take(worker, ResultMessage(*message), done)

    def _take(self, worker: WorkerProcess, message: ResultMessage, done: list[Any]) -> None:
        """Add what a message says to what the scheduler is handed."""
        if message.key == READY:
            worker.ready = self._any_ready = True
            return
        if not worker.set_up:
            worker.set_up = True
            with self._lock:
                self._pace.started(time.monotonic() - worker.started_s)
        if message.key == SET_UP:
            return
        key, job = worker.running[0]
        if key != message.key:
            raise InternalError(f"a worker answers job {message.key} while job {key} runs")
        if message.begun:
            done.append(job.begun)  # type: ignore[attr-defined]
            return
        with self._lock:
            worker.running.popleft()
            self._pace.ran(job.plan.fullname, message.duration_s, message.cpu_s)
        self._keep_output(worker, job, message)
        if message.result is not None:
            done.append((job, True, EncodedResult(*message.result)))
        else:
            done.append((job, False, _error(message)))

    def _keep_output(self, worker: WorkerProcess, job: Job, message: ResultMessage | None) -> None:
        """Keep what a job has written that has ended; without a message, that was lost."""
        if worker.output is None or self._outputs is None:
            return
        most = self._outputs.most if job.plan.captures else 0
        kept = worker.output.take(most) if message is None else worker.output.take(most, message.ends, message.marks)
        if message is not None and message.written and most:
            kept = kept or Kept(most)
            for stream, text in message.written:
                kept.add(stream, text)
        if kept is not None:
            self._outputs.put(job, kept)
        if not worker.running:
            worker.output.empty()

    def _ended(self, worker: WorkerProcess, done: list[Any]) -> None:
        """A worker's process has ended: hand back what it ran, put the rest back into the queue."""
        if worker not in self._workers:
            return
        self._selector.unregister(worker.channel)
        self._selector.unregister(worker.process.sentinel)
        for message in worker.channel.rest():
            # What it had sent before.
            self._take(worker, ResultMessage(*message), done)
        with self._lock:
            self._workers.remove(worker)
            worker.channel.close()
        worker.kill()
        worker.process.join(_END_S)
        how = how_it_ended(worker.process.exitcode)
        with self._lock:
            lost = [job for _, job in worker.running]
            worker.running.clear()
        self._close_output(worker, lost)
        if lost and worker.cancelled is None:
            first = lost.pop(0)
            told = f"{how} while it ran {first.plan.fullname} (job {first.short_id})"
            done.append((first, False, WorkerLost(f"{self._called(worker)} {told}")))
        keep = [job for job in lost if job is not worker.cancelled]
        if keep:
            self._again(keep)
        if worker.ready or self._any_ready:
            return
        self._stillborn += 1
        # One that something else has killed tells nothing of the next one.
        if (worker.process.exitcode or 0) >= 0 or self._stillborn >= _MOST_STILLBORN:
            self._fail_all(
                WorkerLost(
                    f"{self._called(worker)} {how} before it was ready; what it printed "
                    "says more. A script that is run as a program needs `if __name__ == '__main__':` around what starts the workflow"
                )
            )

    def _called(self, worker: WorkerProcess) -> str:
        return f"worker process {worker.process.pid} of executor {self._name!r}"

    def _again(self, jobs: list[Job]) -> None:
        # Arguments are looked up by the scheduler's thread only: ask it to submit them once more.
        self._completions.put(lambda evaluation: self.submit(jobs))

    def _close_output(self, worker: WorkerProcess, running: list[Job]) -> None:
        """A worker has ended: what it wrote last is the first job's that it had."""
        if worker.output is not None:
            if running:
                self._keep_output(worker, running[0], None)
            worker.output.close()

    def _fail_all(self, error: Exception) -> None:
        with self._lock:
            jobs = [job for _, job in self._waiting]
            self._waiting.clear()
        for job in jobs:
            self._completions.put((job, False, error))

    def _end_workers(self) -> None:
        workers = [*self._workers, *self._forked]
        for worker in workers:
            if self._killing or worker.running or not worker.ready:
                worker.kill()
            else:
                with contextlib.suppress(OSError):
                    worker.channel.send(None)
        deadline = time.monotonic() + _END_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            # Also for what a task has left running in its group.
            worker.kill()
            worker.process.join(_END_S)
            worker.channel.close()
            self._close_output(worker, [job for _, job in worker.running])
        shutil.rmtree(self._settings.temporary, ignore_errors=True)
        self._selector.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_write = -1


def _error(message: ResultMessage) -> BaseException:
    try:
        error: BaseException = restore(message.error)
    except RedunError as failed:
        last = message.trace[-1] if message.trace else "unknown"
        error = ExecutorError(f"a task in a worker process failed with an error that is not known here ({failed}): {last}")
    if message.trace is not None:
        with contextlib.suppress(AttributeError, TypeError):
            setattr(error, TOLD_ELSEWHERE, message.trace)
    return error
