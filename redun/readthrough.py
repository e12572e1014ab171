"""Read-through: what a run misses in its store is looked for in repos, beside the run.

Each repo has a thread, its own opening of the store and of what is known of the repo, which is brought up to date at the first miss. What
one repo does not know goes on to the next, what none knows back to the run. Results that a repo knows are fetched many at once.

A repo must not be in the way. Whatever goes wrong with it is said once, and it is left alone for the rest of the run; so is one that does
not answer: when a request of it has given no sign of life for `timeout_s`, what waits for it goes on without. Its thread is left behind, and
does not keep the process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from redun.errors import ConfigError, RedunError
from redun.evaluation.others import Answers, Ask
from redun.remotes import Repo, find_repo, open_other_store, open_remote
from redun.results_elsewhere import Named, RemoteResults, Results, StoreResults
from redun.store.remote.signs import Signs
from redun.store.remote.throttle import Throttle
from redun.trust import Trust

if TYPE_CHECKING:
    from redun.config import Config
    from redun.store.repository import Store

TIMEOUT_S = 10.0
_AT_ONCE = 256
"""So many results are fetched before new questions are looked at."""

Hand = Callable[[Answers], None]
Said = Callable[[str], None]


class ReadThrough:
    """Looks for results in repos; implements `redun.evaluation.others.Places`.

    Args:
        store: of the run; opened once more for each repo.
        repos: in the order in which they are asked.
        hand: takes answers. said: takes lines for the user. Both are called from any thread.
        dryrun: nothing is stored.
        timeout_s: how long a request may go on without a sign of life.
    """

    def __init__(
        self, store: Store, repos: Sequence[Repo], hand: Hand, said: Said, dryrun: bool = False, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._hand = hand
        self._said = said
        self._timeout_s = timeout_s
        self._changed = threading.Condition()
        self._closed = False
        # id of an ask -> whose turn it is; who is not in here was answered.
        self._turn: dict[int, tuple[_Worker, Ask]] = {}
        self._workers = [_Worker(self, store, repo, dryrun) for repo in repos]
        for one, other in zip(self._workers, self._workers[1:], strict=False):
            one.next = other
        for worker in self._workers:
            worker.start()
        threading.Thread(target=self._watch, name="redun-repos", daemon=True).start()

    def ask(self, asks: Sequence[Ask]) -> None:
        """See `Places.ask`."""
        self._give(self._workers[0], asks)

    def close(self) -> None:
        """See `Places.close`."""
        with self._changed:
            self._closed = True
            self._turn.clear()
            self._changed.notify_all()
        for worker in self._workers:
            # One that hangs is left behind.
            worker.join(0.0 if worker.is_stuck(0.0) else 1.0)

    # Whose turn it is.

    def _give(self, worker: _Worker | None, asks: Sequence[Ask]) -> None:
        """Let a worker look, or the next one that is not given up; if there is none, nobody knows."""
        with self._changed:
            while worker is not None and worker.gone:
                worker = worker.next
            if worker is not None and not self._closed:
                for ask in asks:
                    self._turn[id(ask)] = (worker, ask)
                worker.queue.extend(asks)
                self._changed.notify_all()
                return
            for ask in asks:
                self._turn.pop(id(ask), None)
        if asks and not self._closed:
            self._hand([(ask, None) for ask in asks])

    def answered(self, worker: _Worker, answers: Answers) -> None:
        """A worker has answers; those that it is not asked for any more are dropped."""
        with self._changed:
            mine = [answer for answer in answers if self._turn.get(id(answer[0]), _NOBODY)[0] is worker]
            found = [answer for answer in mine if answer[1] is not None]
            for ask, _ in found:
                del self._turn[id(ask)]
            if self._closed:
                return
        if found:
            self._hand(found)
        missing = [ask for ask, one in mine if one is None]
        if missing:
            self._give(worker.next, missing)

    def is_over(self, worker: _Worker) -> bool:
        """Tell whether nobody waits for a worker any more."""
        return self._closed or worker.gone

    def wait_for(self, worker: _Worker, *, block: bool) -> list[Ask] | None:
        """Return what a worker is to look for, None when the run is over."""
        with self._changed:
            while block and not worker.queue and not self._closed and not worker.gone:
                self._changed.wait()
            if self._closed or worker.gone:
                return None
            asks = worker.queue.copy()
            worker.queue.clear()
            return asks

    def give_up(self, worker: _Worker, reason: str) -> None:
        """Leave a repo alone from now on, and say so once."""
        with self._changed:
            if worker.gone or self._closed:
                return
            worker.gone = True
            worker.queue.clear()
            asks = [ask for whose, ask in self._turn.values() if whose is worker]
            self._changed.notify_all()
        self._said(f"repo {worker.repo.name!r} is left alone for the rest of this run: {reason}")
        self._give(worker.next, asks)

    def tell(self, text: str) -> None:
        """Say something to the user."""
        self._said(text)

    def _watch(self) -> None:
        pause_s = min(self._timeout_s / 4, 0.25)
        while True:
            with self._changed:
                while not self._turn and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                self._changed.wait(pause_s)
                stuck = [worker for worker in self._workers if not worker.gone and worker.is_stuck(self._timeout_s)]
            for worker in stuck:
                self.give_up(worker, f"no answer for {self._timeout_s:g} seconds")


class _Worker(threading.Thread):
    """The thread of one repo.

    Attributes:
        queue: what it is yet to look for.
        gone: it is left alone.
        next: asks go on there.
    """

    def __init__(self, hub: ReadThrough, store: Store, repo: Repo, dryrun: bool) -> None:
        super().__init__(name=f"redun-repo-{repo.name}", daemon=True)
        self.repo = repo
        self.queue: list[Ask] = []
        self.gone = False
        self.next: _Worker | None = None
        self._hub = hub
        self._store = store
        self._dryrun = dryrun
        self._signs: Signs | None = None
        self._told = False

    def is_stuck(self, timeout_s: float) -> bool:
        """Tell whether a request has given no sign of life for so long."""
        return self._signs is not None and self._signs.is_stuck(timeout_s)

    def run(self) -> None:
        """Look for results until the run is over."""
        results: Results | None = None
        try:
            asks = self._hub.wait_for(self, block=True)
            wanted: list[Named] = []
            while asks is not None:
                if asks:
                    if results is None:
                        results = self._open()
                    found, missing = self._look_up(results, asks)
                    self._tell_doubts(results)
                    self._hub.answered(self, [(ask, None) for ask in missing])
                    wanted.extend(found)
                if wanted:
                    assert results is not None
                    part, wanted = wanted[:_AT_ONCE], wanted[_AT_ONCE:]
                    for answers in results.fetch(part):
                        self._hub.answered(self, answers)
                        if self._hub.is_over(self):
                            return
                asks = self._hub.wait_for(self, block=not wanted)
        except (RedunError, OSError) as error:
            self._hub.give_up(self, str(error))
        except Exception as error:
            # Whatever a library of somebody else raises: a run must not fail of it, nor wait for ever.
            self._hub.give_up(self, f"{type(error).__name__}: {error}")
        finally:
            if results is not None:
                self._close(results)

    def _look_up(self, results: Results, asks: Sequence[Ask]) -> tuple[list[Named], list[Ask]]:
        if self._signs is None:
            return results.look_up(asks)
        # It may wait for another process that does not get an answer.
        return self._signs.watched(lambda: results.look_up(asks))

    def _open(self) -> Results:
        store = self._store.another()
        try:
            if self.repo.config_dir:
                return StoreResults(self.repo.name, store, open_other_store(self.repo, write=False), self._dryrun)
            remote = open_remote(store, self.repo, meter=Throttle(self.repo.bandwidth))
            self._signs = Signs(remote.backend, remote.meter)
            remote.backend, remote.meter = self._signs, self._signs.told
            return RemoteResults(store, remote, Trust(store, self.repo).believes, self._dryrun)
        except BaseException:
            store.close()
            raise

    def _tell_doubts(self, results: Results) -> None:
        if results.doubted and not self._told:
            self._told = True
            self._hub.tell(
                f"repo {self.repo.name!r} has results that are not taken, as nobody signed them who is trusted: "
                "'redun keys list' shows who did, 'redun keys trust' trusts them"
            )

    def _close(self, results: Results) -> None:
        try:
            results.close()
        except Exception:
            # There is nobody left to tell.
            return


_NOBODY = (None, None)


def timeout_s(backend: Mapping[str, Any]) -> float:
    """Return `[backend] remote_timeout`.

    Raises:
        ConfigError: it is no number above 0.
    """
    text = backend.get("remote_timeout")
    if text is None:
        return TIMEOUT_S
    try:
        found = float(text)
    except (TypeError, ValueError):
        found = 0.0
    if not 0 < found < float("inf"):
        raise ConfigError(f"option 'remote_timeout' in section [backend] must be a number of seconds above 0, found {text!r}")
    return found


def opener(store: Store, config: Config, names: Sequence[str], dryrun: bool) -> Callable[[Hand, Said], ReadThrough]:
    """Return what opens read-through for a run.

    Args:
        names: of repos, or URLs.

    Raises:
        RedunError: there is no such repo, or it cannot be used as it is configured.
    """
    found = [find_repo(config, name) for name in names]
    limit_s = timeout_s(config.get("backend") or {})
    return lambda hand, said: ReadThrough(store, found, hand, said, dryrun, limit_s)


__all__ = ["TIMEOUT_S", "ReadThrough", "opener", "timeout_s"]
