"""The shape of a task's arguments, looked at once per task and used at every call.

`inspect.Signature.bind` costs 5 to 10 microseconds a call; checking against a prepared shape costs a few tenths. The full signature is
asked only to word the error.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class CallShape:
    """What a function accepts.

    Attributes:
        names: positional parameters, in order.
        required: how many of them have no default.
        defaults: name -> default, in order of the signature, keyword-only ones included.
        keyword_only: keyword-only parameters, in order.
        var_args, var_kwargs: whether `*args` and `**kwargs` take the rest.
    """

    __slots__ = (
        "_by_keyword",
        "_must_have",
        "defaults",
        "keyword_only",
        "most",
        "names",
        "required",
        "signature",
        "simple",
        "var_args",
        "var_kwargs",
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        self.signature = signature = inspect.signature(function)
        parameters = list(signature.parameters.values())
        positional = [p for p in parameters if p.kind in _POSITIONAL]
        self.names = tuple([p.name for p in positional])
        self.required = len([p for p in positional if p.default is p.empty])
        self.keyword_only = tuple([p.name for p in parameters if p.kind is p.KEYWORD_ONLY])
        self.var_args = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.var_kwargs = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.most = len(self.names) if not self.var_args else 1 << 30
        self.defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        by_position_only = {p.name for p in positional if p.kind is p.POSITIONAL_ONLY}
        self._by_keyword = frozenset([*self.names, *self.keyword_only]) - by_position_only
        self._must_have = frozenset([*self.names, *self.keyword_only]) - self.defaults.keys()
        # No keyword-only parameters without default, so positional arguments alone can satisfy it.
        self.simple = all(name in self.defaults for name in self.keyword_only)

    def check(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, worded as Python does, unless the arguments fit."""
        if not kwargs:
            if self.required <= len(args) <= self.most and self.simple:
                return
        elif self._fits(args, kwargs):
            return
        try:
            self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(_python_error(name, self.signature, args, kwargs) or f"{name}() {error}") from None

    def _fits(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        if len(args) > self.most:
            return False
        by_position = self.names[: len(args)]
        given = kwargs.keys()
        if not given.isdisjoint(by_position) or not (self.var_kwargs or given <= self._by_keyword):
            return False
        return self._must_have.issubset([*by_position, *given])

    def fill(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the keyword arguments with defaults added for every parameter that was not given."""
        if not self.defaults:
            return kwargs
        given = self.names[: len(args)]
        missing = {name: value for name, value in self.defaults.items() if name not in kwargs and name not in given}
        return {**kwargs, **missing} if missing else kwargs

    def in_order(self, args: list[Any], kwargs: Mapping[str, Any], leave_out: frozenset[str]) -> list[Any]:
        """Return arguments in the one order that does not depend on how they were given.

        Args:
            args, kwargs: any items, defaults filled in.
            leave_out: parameters that do not count.

        Returns:
            Positional parameters in order, the rest of `*args`, then keyword-only and other keywords as (name, item), sorted.
        """
        names = self.names
        if not kwargs and not leave_out:
            return args
        ordered = [
            args[place] if place < len(args) else kwargs[name]
            for place, name in enumerate(names)
            if name not in leave_out and (place < len(args) or name in kwargs)
        ]
        ordered.extend(args[len(names) :])
        known = frozenset(names)
        ordered.extend([[name, kwargs[name]] for name in sorted(kwargs) if name not in known and name not in leave_out])
        return ordered


def _python_error(name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """Return what Python itself says of a call with arguments that do not fit; it words that better than `inspect` does."""
    bare = [
        parameter.replace(annotation=parameter.empty, default=parameter.empty if parameter.default is parameter.empty else None)
        for parameter in signature.parameters.values()
    ]
    scope: dict[str, Any] = {}
    shape = signature.replace(parameters=bare, return_annotation=signature.empty)
    exec(f"def {name}{shape}: pass", scope)
    try:
        scope[name](*args, **kwargs)
    except TypeError as error:
        return str(error)
    return None


class WrapperShape(CallShape):
    """What a task around another takes: the other's signature and defaults, where the wrapper's function has the last word.

    Args:
        wrapper: the outer function, often just `(*args, **kwargs)`; what it refuses is refused.
        inner: the shape of the inner task.
    """

    __slots__ = ("_accepted",)

    def __init__(self, wrapper: Callable[..., Any], inner: CallShape) -> None:
        super().__init__(_with_signature(inner.signature))
        self._accepted = CallShape(wrapper)
        # Every call goes through `check`.
        self.simple = False

    def check(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Raise TypeError, worded as Python does, unless the wrapper's function takes the arguments."""
        self._accepted.check(name, args, kwargs)


def return_annotation(function: Callable[..., Any]) -> Any:
    """Return what a function says that it returns, None if nothing; text is resolved if it may be a tuple."""
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        if annotation.isidentifier():
            # Maybe a namedtuple class.
            return getattr(function, "__globals__", {}).get(annotation, tuple if annotation == "tuple" else None)
        if "tuple" not in annotation.lower():
            return None
        import typing

        try:
            return typing.get_type_hints(function).get("return")
        except Exception:
            return None
    return annotation


def get_tuple_type_length(tuple_type: Any) -> int | None:
    """Return the number of items of a fixed tuple type (`tuple[int, str]` -> 2), or None for any other annotation."""
    if isinstance(tuple_type, type) and issubclass(tuple_type, tuple):
        # A namedtuple class. A generic alias like `tuple[int]` is no type.
        fields = getattr(tuple_type, "_fields", None)
        return None if fields is None else len(fields)
    if getattr(tuple_type, "__origin__", None) is not tuple:
        return None
    args = getattr(tuple_type, "__args__", None)
    if args is None:
        return None
    if args == ((),):
        return 0
    return None if Ellipsis in args else len(args)


def without_leading(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """Return a function with the same signature but for its first parameters."""
    signature = inspect.signature(function)
    return _with_signature(signature.replace(parameters=list(signature.parameters.values())[count:]))


def _with_signature(signature: inspect.Signature) -> Callable[..., Any]:
    def shape(*args: Any, **kwargs: Any) -> None:
        return None

    shape.__signature__ = signature  # type: ignore[attr-defined]
    return shape
