"""A call whose arguments do not fit: told at once, in Python's own words."""

from __future__ import annotations

from typing import Any

import pytest

from redun import task


@task(namespace="wrong")
def one(a: Any, b: int = 3, *, c: str = "x") -> Any:
    return a


@task(namespace="wrong")
def two(a: Any, /, b: Any, *, c: Any) -> Any:
    return a


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda f: f(), "one() missing 1 required positional argument: 'a'"),
        (lambda f: f(1, 2, 3), "one() takes from 1 to 2 positional arguments but 3 were given"),
        (lambda f: f(1, z=1), "one() got an unexpected keyword argument 'z'"),
        (lambda f: f(1, a=1), "one() got multiple values for argument 'a'"),
    ],
)
def test_python_words(call: Any, told: str) -> None:
    for function in (one, one.options(memory=1), one.partial()):
        with pytest.raises(TypeError) as caught:
            call(function)
        assert str(caught.value) == told
    with pytest.raises(TypeError) as python:
        call(one.func)
    assert str(python.value) == told


def test_other_kinds_of_parameters() -> None:
    with pytest.raises(TypeError, match=r"two\(\) missing 2 required positional arguments: 'a' and 'b'"):
        two(c=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"two\(\) missing 1 required keyword-only argument: 'c'"):
        two(1, 2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"two\(\) got some positional-only arguments passed as keyword arguments: 'a'"):
        two(a=1, b=2, c=3)  # type: ignore[call-arg]
