"""Threads for requests that nobody has to wait for: a place that never answers does not keep the process from ending."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from queue import SimpleQueue
from typing import Any, TypeVar

A = TypeVar("A")
B = TypeVar("B")

_Work = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class RequestThreads:
    """Up to `most` threads, made as they are needed. Any thread may submit."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._queue: SimpleQueue[_Work | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._waiting = 0
        self._lock = threading.Lock()

    def submit(self, work: Callable[..., B], *args: Any) -> Future[B]:
        """Have something done; returns what will tell of it."""
        future: Future[B] = Future()
        with self._lock:
            self._waiting += 1
            if len(self._threads) < min(self._most, self._waiting):
                thread = threading.Thread(target=self._serve, name="redun-remote", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queue.put((future, work, args))
        return future

    def map(self, work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
        """Do something for several items at once; results in their order."""
        futures = [self.submit(work, item) for item in items]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def _serve(self) -> None:
        while True:
            item = self._queue.get()
            if item is None:
                return
            future, work, args = item
            try:
                if future.set_running_or_notify_cancel():
                    future.set_result(work(*args))
            except BaseException as error:
                future.set_exception(error)
            finally:
                with self._lock:
                    self._waiting -= 1
                del item, future, work, args

    def close(self) -> None:
        """Let what has begun end, and nothing else begin."""
        while not self._queue.empty():
            item = self._queue.get()
            if item is not None:
                item[0].cancel()
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()


def ahead(threads: RequestThreads, work: Callable[[A], B], items: Iterable[A], most: int) -> Iterator[B]:
    """Do something for several items; results in their order. At most so many items and results are held at once.

    When one of them fails, or nobody wants more, what has begun ends before this does, and nothing else begins.
    """
    waiting: deque[Future[B]] = deque()
    try:
        for item in items:
            if len(waiting) >= most:
                yield waiting.popleft().result()
            waiting.append(threads.submit(work, item))
            del item
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        wait(waiting)
