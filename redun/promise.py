"""Promises: values to come, for user-written special forms (`@scheduler_task`).

The engine itself needs none. They follow the usual rules (https://promisesaplus.com) but for one: a callback runs at once when its
promise is settled, on the same thread. Settling never recurses however long a chain is: callbacks wait in a queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from redun.errors import PromiseError

T = TypeVar("T")
S = TypeVar("S")

_queue: deque[Callable[[], None]] = deque()
_draining = False


def _run_soon(callback: Callable[[], None]) -> None:
    """Run a callback after those that are under way; at once if none is."""
    global _draining
    _queue.append(callback)
    if _draining:
        return
    _draining = True
    try:
        while _queue:
            _queue.popleft()()
    finally:
        _draining = False


class Promise(Generic[T]):
    """A value to come. Not for use by several threads.

    Args:
        func: called at once with the functions that resolve and reject the promise.

    Attributes:
        is_pending, is_fulfilled, is_rejected: where it stands.
    """

    def __init__(self, func: Callable[[Callable[[Any], Any], Callable[[BaseException], Any]], Any] | None = None) -> None:
        self.is_pending = True
        self.is_fulfilled = False
        self.is_rejected = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._waiting: list[Callable[[], None]] = []
        if func is not None:
            try:
                func(self.do_resolve, self.do_reject)
            except Exception as error:
                self.do_reject(error)

    @property
    def value(self) -> Any:
        """The value; the error if it was rejected. Raises PromiseError while it is pending."""
        if self.is_pending:
            raise PromiseError("the promise is still pending")
        return self._value if self._error is None else self._error

    @property
    def error(self) -> BaseException:
        """The error it was rejected with. Raises PromiseError if it was not."""
        if self._error is None:
            raise PromiseError("the promise is still pending" if self.is_pending else "the promise was fulfilled")
        return self._error

    def do_resolve(self, result: Any) -> Any:
        """Settle with a value; with another promise, follow that one. The first call counts. Returns its argument."""
        if self.is_pending:
            if isinstance(result, Promise):
                result.then(self.do_resolve, self.do_reject)
            else:
                self._value = result
                self._settle(fulfilled=True)
        return result

    def do_reject(self, error: BaseException) -> BaseException:
        """Settle with an error. The first call counts. Returns its argument."""
        if self.is_pending:
            self._error = error
            self._settle(fulfilled=False)
        return error

    def _settle(self, fulfilled: bool) -> None:
        self.is_pending = False
        self.is_fulfilled = fulfilled
        self.is_rejected = not fulfilled
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            _run_soon(callback)

    def then(
        self, resolver: Callable[[T], Any] | None = None, rejector: Callable[[BaseException], Any] | None = None
    ) -> Promise[Any]:
        """Return a promise of what a callback makes of the value (or error); it may return another promise."""
        following: Promise[Any] = Promise()

        def call() -> None:
            callback: Callable[[Any], Any] | None = resolver if self.is_fulfilled else rejector
            if callback is None:
                if self._error is not None:
                    following.do_reject(self._error)
                else:
                    following.do_resolve(self._value)
                return
            try:
                result = callback(self._value if self.is_fulfilled else self._error)
            except Exception as error:
                following.do_reject(error)
            else:
                following.do_resolve(result)

        if self.is_pending:
            self._waiting.append(call)
        else:
            _run_soon(call)
        return following

    def catch(self, rejector: Callable[[BaseException], S]) -> Promise[Any]:
        """Return a promise that goes on with what `rejector` makes of an error."""
        return self.then(None, rejector)

    @staticmethod
    def all(subpromises: Sequence[Promise[Any]]) -> Promise[list[Any]]:
        """Return a promise of the list of all values; the first error rejects it."""
        promises = list(subpromises)
        result: Promise[list[Any]] = Promise()
        _after_all(promises, lambda: result.do_resolve([promise.value for promise in promises]), result.do_reject)
        return result


def _after_all(
    promises: list[Promise[Any]], finish: Callable[[], Any], rejected: Callable[[BaseException], Any] | None
) -> None:
    """Call `finish` when all promises are settled; with `rejected`, which hears of each error, when all are fulfilled."""
    left = len(promises)
    if not promises:
        finish()

    def one_done(_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            finish()

    for promise in promises:
        promise.then(one_done, rejected or one_done)


def wait_promises(subpromises: Sequence[Promise[T]]) -> Promise[list[Promise[T]]]:
    """Return a promise of the promises themselves, once all are settled, well or not."""
    promises = list(subpromises)
    result: Promise[list[Promise[T]]] = Promise()
    _after_all(promises, lambda: result.do_resolve(promises), None)
    return result
