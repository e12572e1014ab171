"""`functools.lru_cache` for arguments that cannot be hashed: the program says what key they count as."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any


def json_dumps(value: Any) -> str:
    """Return a value as JSON in one form: keys sorted, no spaces.

    Raises:
        TypeError: something in it is not JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def json_cache_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return arguments as JSON, to serve as a key."""
    return json.dumps([args, kwargs], sort_keys=True)


class CacheArgs:
    """Arguments that are equal to others of the same key.

    Args:
        cache_key: hashable.
    """

    def __init__(self, cache_key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.cache_key = cache_key
        self.args = args
        self.kwargs = kwargs

    def __hash__(self) -> int:
        return hash(self.cache_key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CacheArgs) and self.cache_key == other.cache_key


def lru_cache_custom(
    maxsize: int,
    cache_key: Callable[[tuple[Any, ...], dict[str, Any]], Any] = lambda args, kwargs: (args, tuple(kwargs.items())),
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Keep the last results of a function.

    Args:
        maxsize: how many.
        cache_key: gives the key of (args, kwargs).
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.lru_cache(maxsize=maxsize)
        def kept(call: CacheArgs) -> Any:
            return function(*call.args, **call.kwargs)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return kept(CacheArgs(cache_key(args, kwargs), args, kwargs))

        return call

    return decorate
