"""The collector of cyclic garbage: what runs make lives on for good reason, and few cycles are in it."""

from __future__ import annotations

import gc

_SELDOM = (100_000, 20, 100)


def collect_seldom() -> None:
    """Collect cyclic garbage less often, for a process that is here for one command only."""
    gc.set_threshold(*_SELDOM)


def set_aside() -> None:
    """Have the collector leave alone, for good, what is there now: modules, mostly. Python looks through all the rest when it ends."""
    gc.freeze()


class raised_thresholds:
    """Collect cyclic garbage less often while a run goes on, and leave alone what was there before it."""

    def __enter__(self) -> None:
        self._before = gc.get_threshold()
        # Where they are raised for good, what was there is set aside for good.
        if self._before != _SELDOM:
            gc.freeze()
            gc.set_threshold(*_SELDOM)

    def __exit__(self, *exc: object) -> None:
        if self._before != _SELDOM:
            gc.set_threshold(*self._before)
            gc.unfreeze()
