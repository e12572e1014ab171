"""The local executor: jobs on threads of this process, or in processes of their own (`redun.executors.process`).

Workers take jobs from one C queue and put results into another; a Python-level lock or future per job would cost more than a small
task. One worker is enough while tasks take microseconds, so the pool starts small: the scheduler, when nothing has come back for a
millisecond though jobs wait, lets it grow, doubling each time.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, ClassVar

from redun.errors import ConfigError, ExecutorError, InternalError
from redun.executors.base import Executor, run_job

if TYPE_CHECKING:
    from redun.evaluation.job import Job
    from redun.executors.coroutines import CoroutineThread
    from redun.executors.process import ProcessPool
    from redun.output import Current

DEFAULT_MAX_WORKERS = 20
THREAD_MODE = "thread"
PROCESS_MODE = "process"
_GROW_AFTER_S = 0.001


class LocalExecutor(Executor):
    """Runs jobs on threads, or in processes.

    Args:
        name: under which tasks ask for it.
        scheduler: the scheduler that it belongs to.
        config: `max_workers`, the most threads (and the most processes) there may be; `mode`; `start_method`; `scratch`.
        mode: where jobs run that do not say so themselves (task option `mode`).

    Raises:
        ConfigError: `max_workers` is no positive integer, or mode or start method are unknown.
    """

    MODES: ClassVar[list[str]] = [THREAD_MODE, PROCESS_MODE]
    OLD_MODES: ClassVar[dict[str, str]] = {"threads": THREAD_MODE, "processes": PROCESS_MODE}
    START_METHODS: ClassVar[list[str]] = ["fork", "spawn", "forkserver"]
    # Forking a process that has threads may copy a lock that one of them holds; the fork server has none.
    DEFAULT_START_METHOD: ClassVar[str] = "forkserver"

    def __init__(
        self,
        name: str = "default",
        scheduler: Any = None,
        config: Mapping[str, Any] | None = None,
        mode: str = THREAD_MODE,
    ) -> None:
        super().__init__(name, scheduler, config)
        self.mode = self._checked("mode", self.OLD_MODES.get(mode := str(self.config.get("mode", mode)), mode), self.MODES)
        method = str(self.config.get("start_method", self.DEFAULT_START_METHOD))
        self.start_method = self._checked("start_method", method, self.START_METHODS)
        self._scratch = str(self.config.get("scratch", "/tmp/redun"))
        self.max_workers = _positive(name, self.config.get("max_workers", DEFAULT_MAX_WORKERS))
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        # The system has no more threads for us.
        self._refused = False
        # What they run.
        self._currents: list[Current] = []
        self._coroutines: CoroutineThread | None = None
        self._pool: ProcessPool | None = None
        # Jobs that were given up while a thread runs them.
        self._lost: set[Job] = set()
        # Jobs with a time-out, and the threads that run them.
        self._running: dict[Job, int] = {}

    def _checked(self, option: str, value: str, known: list[str]) -> str:
        if value not in known:
            expected = ", ".join(map(repr, known))
            raise ConfigError(f"executor {self.name!r}: {option} {value!r} is unknown: expected one of {expected}")
        return value

    def supports_async(self) -> bool:
        """Coroutines run on an event loop of their own."""
        return True

    def scratch_root(self) -> str:
        """Return the folder of the configuration."""
        return self._scratch

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._take([job])

    def submit_script(self, job: Job) -> None:
        """Take a script."""
        self._take([job])

    def submit_jobs(self, jobs: Sequence[Job]) -> None:
        """Take jobs."""
        if self._sees_no_job():
            self._take(jobs)
        else:
            # A class derived from this one that wants to see each job.
            super().submit_jobs(jobs)

    def _sees_no_job(self) -> bool:
        kind = type(self)
        return kind.submit is LocalExecutor.submit and kind.submit_script is LocalExecutor.submit_script

    def _take(self, jobs: Sequence[Job]) -> None:
        # The first job ever starts the first worker.
        put = self._jobs.put
        for_processes: list[Job] = []
        for job in jobs:
            plan = job.plan
            if plan.is_async:
                if self.supports_async():
                    self._submit_coroutine(job)
                else:
                    self._hand_back(job, False, ExecutorError(f"executor {self.name!r} does not support async tasks"))
                continue
            mode = plan.options.get("mode", self.mode)
            if mode == THREAD_MODE:
                put(job)
            elif mode == PROCESS_MODE:
                for_processes.append(job)
            else:
                error = ExecutorError(f"option mode={mode!r} of {plan.fullname}: expected one of {self.MODES}")
                self._hand_back(job, False, error)
        if for_processes:
            self._process_pool().submit(for_processes)
        if not self._threads and not self._jobs.empty():
            self._start_workers(1)

    def _submit_coroutine(self, job: Job) -> None:
        if self._coroutines is None:
            from redun.executors.coroutines import CoroutineThread

            if self._completions is None:
                raise InternalError(f"executor {self.name!r} was not started")
            self._coroutines = CoroutineThread(f"redun-{self.name}-async", self.scheduler, self._completions)
        self._coroutines.submit(job)

    def _process_pool(self) -> ProcessPool:
        if self._pool is None:
            import tempfile

            from redun.executors.process import ProcessPool
            from redun.executors.worker import Settings
            from redun.import_paths import get_import_paths

            if self._completions is None:
                raise InternalError(f"executor {self.name!r} was not started")
            store = getattr(self._scheduler, "store", None)
            if store is None or store.folder is None or store.exclusive or store.readonly:
                # Workers cannot reach it: everything rides in the messages.
                store = None
            folder = None if store is None else str(store.folder.absolute())
            temporary = tempfile.mkdtemp(prefix="redun-")
            outputs = getattr(self._scheduler, "outputs", None)
            kept = 0 if outputs is None else outputs.most
            by_content = bool(getattr(self._scheduler, "captures_files", False))
            settings = Settings(get_import_paths(), folder, self.start_method == "fork", temporary, kept, by_content)
            source = None if store is None else store.source
            self._pool = ProcessPool(
                self.name, self.max_workers, self.start_method, settings, source, self._completions, outputs
            )
        return self._pool

    def grow_after_s(self) -> float | None:
        """A millisecond, as long as jobs wait and there may be more workers."""
        working = len(self._threads) - len(self._lost)
        return _GROW_AFTER_S if working < self.max_workers and not self._refused and not self._jobs.empty() else None

    def grow(self) -> None:
        """Double the workers, no further than jobs wait and the limit allows."""
        working = len(self._threads) - len(self._lost)
        if not self._refused:
            self._start_workers(min(max(working, 1), self.max_workers - working, self._jobs.qsize()))

    def drop_waiting(self) -> list[Job]:
        """Give back the jobs that no worker has taken."""
        dropped: list[Job] = [] if self._pool is None else self._pool.drop_waiting()
        try:
            while (job := self._jobs.get_nowait()) is not None:
                dropped.append(job)
        except Empty:
            pass
        return dropped

    def busy_jobs(self) -> list[Job] | None:
        """What threads and processes run; of coroutines all are running."""
        busy = [current.job for current in self._currents.copy()]
        coroutines = [] if self._coroutines is None else self._coroutines.jobs()
        processes = [] if self._pool is None else self._pool.busy_jobs()
        return [job for job in (*busy, *coroutines, *processes) if job is not None]

    def tells_begin(self) -> bool:
        """All kinds of workers do."""
        return True

    def takes_names(self, job: Job) -> bool:
        """Worker processes do."""
        plan = job.plan
        return plan.options.get("mode", self.mode) == PROCESS_MODE and not plan.is_async and self._sees_no_job()

    def cancel(self, job: Job) -> bool:
        """Stop a job: processes are killed; a thread is left to end by itself, and another one may take its place."""
        plan = job.plan
        if plan.is_async:
            if self._coroutines is not None:
                self._coroutines.cancel(job)
            return False
        if plan.options.get("mode", self.mode) == PROCESS_MODE:
            return self._pool is None or self._pool.cancel(job)
        self._lost.add(job)
        thread = self._running.get(job)
        if thread is not None and plan.task.script:
            from redun.scripting import kill_scripts

            kill_scripts(thread)
        return False

    def stop(self) -> None:
        """Let threads end when they have finished what they run, end processes; jobs not begun are dropped."""
        if self._pool is not None:
            self._pool.stop()
            self._pool = None
        if self._coroutines is not None:
            self._coroutines.stop()
            self._coroutines = None
        # Workers of this run keep its queues to the end: one that is late must not take a job of the next run.
        self.drop_waiting()
        jobs, threads = self._jobs, self._threads
        self._jobs, self._threads, self._lost, self._currents = SimpleQueue(), [], set(), []
        self._refused = False
        for _ in threads:
            jobs.put(None)

    def kill(self) -> None:
        """End processes and scripts; threads are left to end by themselves."""
        from redun.scripting import kill_scripts

        if self._pool is not None:
            self._pool.stop(kill=True)
            self._pool = None
        kill_scripts()
        self.stop()

    def _start_workers(self, count: int) -> None:
        crew: deque[threading.Thread] = deque()
        first = len(self._threads)
        for number in range(first, first + count):
            # Daemons: a task that never ends must not keep the process from leaving.
            thread = threading.Thread(
                target=self._work, args=(self._jobs, self._completions, crew), name=f"redun-{self.name}-{number}", daemon=True
            )
            self._threads.append(thread)
            crew.append(thread)
        if count > 0:
            self._start_next(crew)

    def _start_next(self, crew: deque[threading.Thread]) -> None:
        """Start one of the crew, which starts others: whoever starts a thread waits until that has had the interpreter once, which with
        many awake takes longer than a task, so the scheduler does that once.
        """
        with contextlib.suppress(IndexError):
            thread = crew.popleft()
            try:
                thread.start()
            except RuntimeError:
                crew.clear()
                self._refused = True
                if not any(known.is_alive() for known in self._threads):
                    raise

    def _work(self, jobs: SimpleQueue[Job | None], completions: SimpleQueue[Any], crew: deque[threading.Thread]) -> None:
        from redun.evaluation.current import set_current_scheduler
        from redun.output import run_for

        while crew:
            self._start_next(crew)
        set_current_scheduler(self.scheduler)
        current = run_for(getattr(self.scheduler, "outputs", None))
        self._currents.append(current)
        get, put = jobs.get, completions.put
        while (job := get()) is not None:
            current.job = job
            if job.tells_begin:
                self._running[job] = threading.get_ident()
                put(job.begun)  # type: ignore[attr-defined]
            try:
                result = run_job(job)
            except BaseException as error:
                put((job, False, error))
            else:
                put((job, True, result))
                # A worker that waits must not keep a large result alive.
                del result
            current.job = None
            self._running.pop(job, None)
            if self._lost and job in self._lost:
                # Another worker has taken its place.
                self._lost.discard(job)
                with contextlib.suppress(ValueError):
                    self._threads.remove(threading.current_thread())
                break
            del job


class ProcessExecutor(LocalExecutor):
    """The local executor with processes in place of threads: `type = process`."""

    def __init__(
        self,
        name: str = "process",
        scheduler: Any = None,
        config: Mapping[str, Any] | None = None,
        mode: str = PROCESS_MODE,
    ) -> None:
        super().__init__(name, scheduler, config, mode)


def _positive(name: str, value: Any) -> int:
    try:
        count = int(value)
    except (TypeError, ValueError):
        count = 0
    if count < 1:
        raise ConfigError(f"max_workers of executor {name!r} must be a positive integer, found {value!r}")
    return count
