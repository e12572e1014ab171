"""The collector of cyclic garbage while a run goes on."""

from __future__ import annotations


class raised_thresholds:
    """Collect cyclic garbage less often: a run makes millions of objects that live on for good reason, and few cycles."""

    def __enter__(self) -> None:
        import gc

        self._before = gc.get_threshold()
        gc.freeze()
        gc.set_threshold(100_000, 20, 100)

    def __exit__(self, *exc: object) -> None:
        import gc

        gc.set_threshold(*self._before)
        gc.unfreeze()
