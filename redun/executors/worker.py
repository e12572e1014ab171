"""A worker process: takes jobs from a pipe, one batch at a time, and sends each result as soon as it is there.

It is alone with what it runs: a process group of its own, so that Ctrl-C on the terminal is for the scheduler to handle and everything
that a task has started can be killed with it; and a lifeline, a pipe that nobody writes to, whose end means that the scheduler is gone.
Imported in the fork server before any worker is forked, so that each finds redun loaded.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from redun.errors import EncodeError, ExecutorError, ObjectNotFound, ValueEncodeError
from redun.evaluation.failure import python_traceback
from redun.executors.base import call_task
from redun.executors.channel import Channel
from redun.executors.messages import READY, SET_UP, JobMessage, ResultMessage, encode_result, value_of
from redun.executors.sent_errors import error_bytes
from redun.executors.streams import Given, WorkerStreams
from redun.import_paths import add_import_path
from redun.output import Kept, real_streams, run_for
from redun.scripting import be_a_worker
from redun.store.ids import Pieces
from redun.store.repository import Store
from redun.store.sources.base import Batch
from redun.task import get_task_registry


class Settings(NamedTuple):
    """What a worker has to know.

    Attributes:
        import_paths: folders to import workflow modules from, beside those of Python.
        store: folder of the store, if workers may open it.
        inherits: the worker is a fork of the scheduler's process, and has its tasks.
        temporary: folder for what scripts need while they run; it is removed with the pool.
        kept_characters: how much of what each job writes is kept, 0 for nothing.
        by_content: files count by content (`redun.files.stamping`).
    """

    import_paths: list[str]
    store: str | None
    inherits: bool
    temporary: str
    kept_characters: int = 0
    by_content: bool = False


def work(connection: Connection, lifeline: Connection, settings: Settings, given: Given | None) -> None:
    """Be a worker; does not return before the scheduler says so or is gone. `given` are the files for its standard streams."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    be_a_worker(settings.temporary)
    real_streams()
    streams = None if given is None else WorkerStreams(given)
    # Not a thread of `threading`: tasks that look at threads, or fork, find themselves alone.
    _thread.start_new_thread(_watch, (lifeline,))
    for path in reversed(settings.import_paths):
        add_import_path(path)
    if settings.by_content:
        from redun.files.stamping import counted_by_content

        # For good: this process does nothing else.
        counted_by_content().__enter__()
    worker = _Worker(settings, streams)
    try:
        channel = Channel(connection)
        channel.send(ResultMessage(READY)[:])
        while (batch := _next(channel)) is not None:
            for message in batch:
                channel.send(worker.ended(worker.run(JobMessage(*message), channel))[:])
    except (EOFError, OSError):
        # The scheduler is gone.
        _end_all()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(0)


def _next(channel: Channel) -> Any:
    """Wait for the next batch. There is one at a time."""
    while not (batches := channel.receive()):
        pass
    return batches[0]


def _watch(lifeline: Connection) -> None:
    try:
        lifeline.poll(None)
    finally:
        _end_all()


def _end_all() -> None:
    os.killpg(os.getpid(), signal.SIGKILL)


def _import(module: str) -> None:
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        import_module(module)
    finally:
        sys.dont_write_bytecode = before


class _Worker:
    def __init__(self, settings: Settings, streams: WorkerStreams | None) -> None:
        self._folder = settings.store
        self._inherits = settings.inherits
        self._store: Store | None = None
        self._tasks: dict[bytes, Any] = {}
        self._streams = streams
        self._most = settings.kept_characters
        self._elsewhere: Kept | None = None
        self._has_run = False
        run_for(None if streams is None else self, streams=False).job = self

    def run(self, message: JobMessage, channel: Channel) -> ResultMessage:
        """Run one job; if it has a time-out, say when it begins: modules are imported by then."""
        started, computed = time.monotonic(), time.process_time()
        try:
            task = self._tasks.get(message.task_id) or self._find(message)
            for module in message.modules:
                if module not in sys.modules:
                    _import(module)
            args = [value_of(part, self._get) for part in message.args]
            kwargs = {name: value_of(part, self._get) for name, part in message.kwargs.items()}
            if message.tells:
                channel.send(ResultMessage(message.key, begun=True)[:])
            if not self._has_run:
                self._has_run = True
                channel.send(ResultMessage(SET_UP)[:])
            started, computed = time.monotonic(), time.process_time()
            result = call_task(task, args, kwargs)
            if message.keeps_files is not False and self._folder is not None:
                from redun.files.capture import capture

                capture(result, self._open().source.stage, message.keeps_files)
            try:
                encoded = encode_result(result, *((self._put, self._contains) if self._folder is not None else (None, None)))
            except EncodeError as error:
                raise ValueEncodeError(f"the result of {message.task} cannot be recorded: {error}") from error
        except BaseException as error:
            return ResultMessage(
                message.key,
                duration_s=time.monotonic() - started,
                cpu_s=time.process_time() - computed,
                error=error_bytes(error),
                # As multiprocessing calls the main script here.
                trace=[line.replace("__mp_main__.", "__main__.") for line in python_traceback(error)],
            )
        return ResultMessage(
            message.key,
            duration_s=time.monotonic() - started,
            cpu_s=time.process_time() - computed,
            result=encoded[:],
        )

    def add(self, job: Any, stream: int, text: str | int) -> None:
        """What the job wrote that no standard stream has seen."""
        if self._elsewhere is None:
            self._elsewhere = Kept(self._most)
        self._elsewhere.add(stream, text)

    def ended(self, result: ResultMessage) -> ResultMessage:
        """Add to the result what the job has written."""
        if self._streams is None:
            return result
        elsewhere, self._elsewhere = self._elsewhere, None
        written = None if elsewhere is None else elsewhere.pieces()
        return result._replace(ends=self._streams.ends(), marks=self._streams.take_marks(), written=written)

    def _find(self, message: JobMessage) -> Any:
        registry = get_task_registry()
        task = registry.get(message.task)
        if task is None and not (self._inherits and message.module in sys.modules):
            _import(message.module)
            task = registry.get(message.task)
        if task is None:
            raise ExecutorError(
                f"module {message.module!r} does not define task {message.task!r} when a worker imports it: tasks that run in "
                "processes must be defined at the top of a module, or use start_method = fork"
            )
        if task.id != message.task_id:
            raise ExecutorError(
                f"task {message.task!r} of module {message.module!r} is another one in the worker than in the scheduler: "
                "its file has changed since the run began, or what it is made of differs from import to import; run again"
            )
        self._tasks[message.task_id] = task
        return task

    def _open(self) -> Store:
        if self._store is None:
            if self._folder is None:
                raise ExecutorError("this worker has no store")
            self._store = Store.open(Path(self._folder), create=False)
        return self._store

    def _get(self, oid: bytes) -> bytes:
        source = self._open().source
        view: Callable[[bytes], bytes] = getattr(source, "view", source.get)
        try:
            return view(oid)
        except ObjectNotFound:
            source.refresh()
            return view(oid)

    def _contains(self, oid: bytes) -> bool:
        source = self._open().source
        source.refresh()
        return source.contains(oid)

    def _put(self, objects: Mapping[bytes, bytes | Pieces]) -> None:
        self._open().source.commit(Batch(objects))
