"""Names of a task's parameters, read from its recorded source, so that positional arguments can be shown by name.

The source is all there is: the function may be gone, or have changed since.
"""

from __future__ import annotations

import ast


class Parameters:
    """The parameters of one task.

    Args:
        source: the task's text, or None.
        name: the function's name without namespace.
    """

    __slots__ = ("_names", "_rest")

    def __init__(self, source: str | None, name: str) -> None:
        self._names: list[str] = []
        self._rest: str | None = None
        function = _find_function(source, name) if source else None
        if function is not None:
            self._names = [arg.arg for arg in (*function.args.posonlyargs, *function.args.args)]
            self._rest = function.args.vararg.arg if function.args.vararg else None

    def name(self, position: int) -> str:
        """Return the parameter that takes the positional argument at `position` (from 0)."""
        if position < len(self._names):
            return self._names[position]
        if self._rest is not None:
            return f"{self._rest}_{position - len(self._names)}"
        return f"arg{position}"


def _find_function(source: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    named = [node for node in found if node.name == name]
    return next(iter(named or found), None)
