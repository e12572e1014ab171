"""A pool of worker processes.

One thread of the scheduler's process, the dispatcher, owns the workers: it starts them, sends each that is idle a batch of jobs, and
takes results. The scheduler only appends to a queue and reads the one of completions.

**Batches.** A job that takes 20 us must not wait for a round trip of 100 us, so a worker gets as many jobs as are expected to take
`_BATCH_S` together, by the longest run of each task so far (which fades). A task that was not seen yet goes alone. Results come back one
by one.

**Growth.** As many workers as there are processors at first; more, up to `max_workers`, when all are busy and nothing comes back, for
tasks may wait for something other than a processor.

**Death.** A worker that ends fails the job that it was running, with a message; jobs of its batch that it had not begun go to others,
and a new worker is started when one is needed. If one ends by itself before any was ready, all
jobs fail, as there is no use in more; one that was killed by then is replaced, a few times.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import selectors
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from redun.encoding import restore
from redun.errors import EncodeError, ExecutorError, InternalError, RedunError, WorkerLost
from redun.evaluation.failure import TOLD_ELSEWHERE
from redun.executors.messages import JobMessage, ResultMessage, argument, modules_of
from redun.executors.streams import WorkerOutput
from redun.executors.worker import Settings, work
from redun.output import Kept

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.evaluation.outputs import Outputs

_BATCH_S = 0.002
_MOST_IN_BATCH = 32
_GROW_AFTER_S = 0.002
_FADE = 0.95
_END_S = 2.0
_KILL_WITHIN_S = 1.0
_PASS_ON_S = 0.1
_MOST_STILLBORN = 5

_lifeline: tuple[Connection, Connection] | None = None
_fork_server_is_set = False


def _own_lifeline() -> Connection:
    """Return the end that workers watch; the other end lives as long as this process."""
    global _lifeline
    if _lifeline is None:
        _lifeline = multiprocessing.Pipe(duplex=False)
    return _lifeline[0]


def _forget_lifeline() -> None:
    # A forked child must not keep its parent's workers alive.
    global _lifeline
    if _lifeline is not None:
        _lifeline[1].close()
        _lifeline = None


os.register_at_fork(after_in_child=_forget_lifeline)


def _context(start_method: str) -> Any:
    global _fork_server_is_set
    if start_method == "forkserver" and not _fork_server_is_set:
        # redun itself, but not the user's modules: they may change between runs of one program.
        multiprocessing.set_forkserver_preload(["redun.executors.worker"])
        _fork_server_is_set = True
    return multiprocessing.get_context(start_method)


class _Worker:
    """A worker, as the dispatcher sees it.

    Attributes:
        ready: it has been heard of.
        running: (key, job) of the jobs that it has, the one that runs first.
        cancelled: the job that it was killed for, if any.
        output: what it writes, None if that is not kept.
    """

    def __init__(self, process: Any, connection: Connection, output: WorkerOutput | None) -> None:
        self.process = process
        self.connection = connection
        self.output = output
        self.ready = False
        self.running: deque[tuple[int, Job]] = deque()
        self.cancelled: Job | None = None

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                os.kill(self.process.pid, signal.SIGKILL)


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
        self._lock = threading.Lock()
        self._waiting: deque[tuple[JobMessage, Job]] = deque()
        self._workers: list[_Worker] = []
        self._estimates: dict[str, float] = {}
        self._forking = 0
        self._forked: deque[_Worker] = deque()
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
        self._wake()

    def _message(self, job: Job) -> JobMessage:
        self._keys += 1
        task, source = job.plan.task, self._source
        return JobMessage(
            self._keys,
            task.load_module,
            task.fullname,
            job.plan.task_id,
            [argument(job, ref, value, source) for ref, value in zip(job.arg_refs, job.positional, strict=True)],
            {name: argument(job, job.kwarg_refs[name], value, source) for name, value in job.keywords.items()},
            job.tells_begin,
            modules_of([job.positional, job.keywords]),
            job.plan.keeps_files if job.recorder.records else False,
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
                busy = self._assign()
                events = self._selector.select(_GROW_AFTER_S if busy else self._pass_on_after_s())
                if not events and busy:
                    self._grow()
                if self._outputs is not None:
                    self._pass_on()
                for key, _ in events:
                    if key.data is None:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._wake_read, 4096)
                    else:
                        key.data()
        except BaseException as error:
            self._fail_all(InternalError(f"the dispatcher of executor {self._name!r} has failed: {error!r}"))
        finally:
            self._end_workers()

    def _pass_on_after_s(self) -> float | None:
        return _PASS_ON_S if self._outputs is not None and any(worker.running for worker in self._workers) else None

    def _pass_on(self) -> None:
        """Let the user see what running jobs have written."""
        now = time.monotonic()
        if now - self._passed_on_s >= _PASS_ON_S:
            self._passed_on_s = now
            for worker in self._workers:
                if worker.output is not None and worker.running:
                    worker.output.pass_on()

    def _assign(self) -> bool:
        """Send jobs to idle workers; True if jobs are left and no worker is on its way."""
        while self._forked:
            self._register(self._forked.popleft())
        with self._lock:
            idle = [worker for worker in self._workers if worker.ready and not worker.running]
            while self._waiting and idle:
                worker = idle.pop()
                batch = self._batch(len(idle) + 1)
                worker.running.extend([(message.key, job) for message, job in batch])
                try:
                    worker.connection.send([message for message, _ in batch])
                except OSError:
                    # It has died just now; its end is told in a moment, and none of these had begun.
                    worker.running.clear()
                    self._waiting.extendleft(reversed(batch))
            waiting = len(self._waiting)
            coming = self._forking + len(self._forked)
            starting = coming + sum(not worker.ready for worker in self._workers)
            first = min(waiting, self._max_workers, os.cpu_count() or 1) - len(self._workers) - coming
        for _ in range(first):
            self._start()
        return waiting > 0 and starting == 0 and first <= 0 and len(self._workers) < self._max_workers

    def _batch(self, idle: int) -> list[tuple[JobMessage, Job]]:
        waiting = self._waiting
        most = min(_MOST_IN_BATCH, -(-len(waiting) // idle))
        batch = [waiting.popleft()]
        expected_s = self._estimates.get(batch[0][0].task, _BATCH_S)
        while waiting and len(batch) < most:
            expected_s += self._estimates.get(waiting[0][0].task, _BATCH_S)
            if expected_s > _BATCH_S:
                break
            batch.append(waiting.popleft())
        return batch

    def _grow(self) -> None:
        with self._lock:
            more = min(len(self._waiting), max(len(self._workers), 1), self._max_workers - len(self._workers))
        for _ in range(more):
            self._start()

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

    def _new_worker(self) -> _Worker | None:
        context = _context(self._start_method)
        ours, theirs = context.Pipe()
        output = None
        try:
            output = None if self._outputs is None else WorkerOutput()
            given = None if output is None else output.given()
            process = context.Process(
                target=work, args=(theirs, _own_lifeline(), self._settings, given), name=f"redun-{self._name}"
            )
            process.start()
        except Exception as error:
            ours.close()
            if output is not None:
                output.close()
            self._fail_all(ExecutorError(f"executor {self._name!r} cannot start a worker process: {error}"))
            return None
        finally:
            theirs.close()
        return _Worker(process, ours, output)

    def _register(self, worker: _Worker) -> None:
        with self._lock:
            self._workers.append(worker)
        self._selector.register(worker.connection, selectors.EVENT_READ, lambda: self._receive(worker))
        self._selector.register(worker.process.sentinel, selectors.EVENT_READ, lambda: self._ended(worker))

    def _receive(self, worker: _Worker) -> bool:
        """Take what a worker has sent; False at its end."""
        try:
            while worker.connection.poll():
                self._take(worker, worker.connection.recv())
        except (EOFError, OSError):
            # Its process has ended, which its sentinel tells, too.
            if worker in self._workers:
                self._ended(worker)
            return False
        return True

    def _take(self, worker: _Worker, message: ResultMessage) -> None:
        if message.key < 0:
            worker.ready = self._any_ready = True
            return
        key, job = worker.running[0]
        if key != message.key:
            raise InternalError(f"a worker answers job {message.key} while job {key} runs")
        if message.begun:
            self._completions.put(job.begun)  # type: ignore[attr-defined]
            return
        with self._lock:
            worker.running.popleft()
        name = job.plan.fullname
        self._estimates[name] = max(message.duration_s, self._estimates.get(name, 0.0) * _FADE)
        self._keep_output(worker, job, message)
        if message.result is not None:
            self._completions.put((job, True, message.result))
        else:
            self._completions.put((job, False, _error(message)))

    def _keep_output(self, worker: _Worker, job: Job, message: ResultMessage | None) -> None:
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

    def _ended(self, worker: _Worker) -> None:
        """A worker's process has ended: hand back what it ran, put the rest back into the queue."""
        if worker not in self._workers:
            return
        with self._lock:
            self._workers.remove(worker)
        self._selector.unregister(worker.connection)
        self._selector.unregister(worker.process.sentinel)
        with contextlib.suppress(EOFError, OSError):
            # What it had sent before.
            while worker.connection.poll():
                self._take(worker, worker.connection.recv())
        worker.connection.close()
        worker.kill()
        worker.process.join(_END_S)
        how = _how_it_ended(worker.process.exitcode)
        with self._lock:
            lost = [job for _, job in worker.running]
            worker.running.clear()
        self._close_output(worker, lost)
        if lost and worker.cancelled is None:
            first = lost.pop(0)
            told = f"{how} while it ran {first.plan.fullname} (job {first.short_id})"
            self._completions.put((first, False, WorkerLost(f"{self._called(worker)} {told}")))
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

    def _called(self, worker: _Worker) -> str:
        return f"worker process {worker.process.pid} of executor {self._name!r}"

    def _again(self, jobs: list[Job]) -> None:
        # Arguments are looked up by the scheduler's thread only: ask it to submit them once more.
        self._completions.put(lambda evaluation: self.submit(jobs))

    def _close_output(self, worker: _Worker, running: list[Job]) -> None:
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
                    worker.connection.send(None)
        deadline = time.monotonic() + _END_S
        for worker in workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            # Also for what a task has left running in its group.
            worker.kill()
            worker.process.join(_END_S)
            worker.connection.close()
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


def _how_it_ended(code: int | None) -> str:
    if code is None:
        return "has ended"
    if code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    hint = ": maybe it ran out of memory" if -code == signal.SIGKILL else ""
    return f"was killed by signal {name}{hint}"
