"""The text of functions: the same that `inspect.getsource` gives, which tasks were hashed by."""

from __future__ import annotations

import argparse
import ast
import functools
import inspect
import sys
import textwrap
import types
import typing
from collections.abc import Iterator

import click.core
import hypothesis.strategies as st
import pytest
from hypothesis import given

import redun.evaluation.calls
import redun.store.sources.lmdb
from redun.source import _text, _whole_definition, dedent

MODULES = (
    argparse,
    ast,
    functools,
    inspect,
    textwrap,
    typing,
    click.core,
    redun.evaluation.calls,
    sys.modules["redun.task"],
    redun.store.sources.lmdb,
)


def functions(module: types.ModuleType) -> Iterator[types.FunctionType]:
    for found in list(vars(module).values()):
        for one in [found, *vars(found).values()] if isinstance(found, type) else [found]:
            one = one.__func__ if isinstance(one, staticmethod | classmethod) else one
            if isinstance(one, types.FunctionType):
                yield one


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_text_is_what_inspect_gives(module: types.ModuleType) -> None:
    seen = 0
    for function in functions(module):
        try:
            text = inspect.getsource(function)
        except (OSError, TypeError):
            continue
        assert _text(function) == text
        seen += 1
    assert seen > 3


def marked(*args: object, **kwargs: object) -> typing.Callable[[typing.Any], typing.Any]:
    return lambda function: function


# fmt: off
@marked(
    lambda x: x,
key=3)
@marked()
def odd_decorators(
    a=(1,
2),
) -> int:
    text = """
no indent here
def f(): pass
"""
# nor here
    return len(text)


def one_line(): return 1
def next_line():
    return 2


def ends_with_a_comment():
    return 1
    # this belongs to it
# and this does not


def ends_in_brackets():
    return [
        1,
    ]



async def waits():
    if True:
        pass
    else:

        yield


def outer():
    def inner():
        return 1

    return inner

just_a_lambda = lambda: 1  # noqa: E731
def last():
    return "last"
# fmt: on


@pytest.mark.parametrize(
    "function",
    [odd_decorators, one_line, next_line, ends_with_a_comment, ends_in_brackets, waits, outer, outer(), just_a_lambda, last],
    ids=lambda function: function.__qualname__,
)
def test_the_text_of_odd_functions_is_what_inspect_gives(function: types.FunctionType) -> None:
    assert _text(function) == inspect.getsource(function)


@pytest.mark.parametrize("function", [one_line, ends_in_brackets, waits, outer(), last])
def test_tokens_are_not_needed_for_most(function: types.FunctionType) -> None:
    lines, start = inspect.findsource(function)
    assert _whole_definition(lines, start) is not None


LINE = st.sampled_from(
    ["def f():\n", "    def g(self):\n", "        return 1\n", "    \n", "\t\n", "\n", "  # note\n", "\x0c\n", "x", " "]
)


@given(st.lists(LINE, max_size=8).map("".join))
def test_dedent_is_that_of_textwrap(text: str) -> None:
    assert dedent(text) == textwrap.dedent(text)
