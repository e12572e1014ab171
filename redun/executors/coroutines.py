"""`async def` tasks: coroutines on one event loop in a thread of its own, whatever their number.

A coroutine that awaits an expression takes no worker while it waits, so any number of them may wait for one another's results. The
expression is handed to the scheduler, which evaluates it on behalf of the awaiting job: the calls in it are children of that job.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from redun.errors import SchedulerError
from redun.executors.base import capture_files
from redun.output import run_for

if TYPE_CHECKING:
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job
    from redun.expression import Expression

_running: ContextVar[tuple[Job, SimpleQueue[Any]] | None] = ContextVar("redun_async_job", default=None)


class CoroutineThread:
    """Runs the coroutines of async tasks.

    Args:
        name: of the thread.
        scheduler: the one that tasks see as current.
        completions: where results go, and requests to evaluate expressions.
    """

    def __init__(self, name: str, scheduler: Any, completions: SimpleQueue[Any]) -> None:
        self._completions = completions
        self._scheduler = scheduler
        self._tasks: dict[Job, asyncio.Task[Any] | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        from redun.evaluation.current import set_current_scheduler

        set_current_scheduler(self._scheduler)
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def submit(self, job: Job) -> None:
        """Begin a job."""
        asyncio.run_coroutine_threadsafe(self._run(job), self._loop)

    async def _run(self, job: Job) -> None:
        _running.set((job.real, self._completions))
        run_for(getattr(self._scheduler, "outputs", None)).job = job
        if job.tells_begin:
            self._completions.put(job.begun)  # type: ignore[attr-defined]
        self._tasks[job] = asyncio.current_task()
        try:
            result = await job.plan.task.func(*job.positional, **job.keywords)
            if job.plan.keeps_files is not False:
                capture_files(job, result)
        except BaseException as error:
            self._completions.put((job, False, error))
        else:
            self._completions.put((job, True, result))
        finally:
            self._tasks.pop(job, None)

    def cancel(self, job: Job) -> None:
        """Cancel the coroutine of a job; it is handed back when that has ended."""

        def cancel() -> None:
            task = self._tasks.get(job)
            if task is not None:
                task.cancel()

        self._loop.call_soon_threadsafe(cancel)

    def jobs(self) -> list[Job]:
        """List the jobs whose coroutines have begun; any thread may ask."""
        return list(self._tasks.copy())

    def stop(self) -> None:
        """Cancel what is left and end the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)


async def wait_for(expr: Expression[Any]) -> Any:
    """Have the scheduler evaluate an expression, and wait for its value: what `await expr` does in an async task.

    Raises:
        SchedulerError: not in an async task.
        Exception: what the expression failed with.
    """
    running = _running.get()
    if running is None:
        raise SchedulerError(f"{expr!r} can only be awaited inside an async task of the local executor")
    job, completions = running
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def evaluate(run: Evaluation) -> None:
        """On the scheduler's thread."""
        try:
            promise = run.promise(expr, job)
        except SchedulerError as error:
            # The job has ended for the scheduler, though its coroutine has not noticed yet.
            loop.call_soon_threadsafe(_set, future, None, error)
            return
        promise.then(
            lambda value: loop.call_soon_threadsafe(_set, future, value, None),
            lambda error: loop.call_soon_threadsafe(_set, future, None, error),
        )

    completions.put(evaluate)
    return await future


def _set(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
