"""Parts of results: `--select`."""

from __future__ import annotations

import ast
from typing import Any

from redun.cli.errors import CommandError


class Selection:
    """A part of a result: `[0]`, `.path`, `["name"][1:].total`.

    Args:
        text: items and attributes one after the other; a name at the beginning stands for the result and may be left out.

    Raises:
        ValueError: it is anything else.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        shown = text.strip()
        # An attribute needs its dot only after a name: `total` alone is one.
        source = (
            f"result{shown}" if shown.startswith(("[", ".")) else shown if shown.startswith("result") else f"result.{shown}"
        )
        try:
            tree: ast.expr = ast.parse(source, mode="eval").body
        except SyntaxError as error:
            raise ValueError(f"{text!r} is no selection: {error.msg}") from None
        self._steps: list[tuple[str, Any]] = []
        while not isinstance(tree, ast.Name):
            if isinstance(tree, ast.Attribute):
                self._steps.append((".", tree.attr))
            elif isinstance(tree, ast.Subscript):
                self._steps.append(("[", _constant(tree.slice, text)))
            else:
                raise ValueError(f"{text!r} is no selection: expected items and attributes such as [0].path or ['name'][1:]")
            tree = tree.value
        self._steps.reverse()

    def of(self, result: Any) -> Any:
        """Return the part.

        Raises:
            CommandError: the result has no such part.
        """
        for kind, key in self._steps:
            try:
                result = getattr(result, key) if kind == "." else result[key]
            except Exception as error:
                raise CommandError(
                    f"option --select: {self.text!r} is not in the result: {type(error).__name__}: {error}"
                ) from error
        return result


def _constant(node: ast.expr, text: str) -> Any:
    if isinstance(node, ast.Slice):
        return slice(*[None if part is None else _constant(part, text) for part in (node.lower, node.upper, node.step)])
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{text!r} is no selection: an index must be a number, a text or a slice of numbers") from None
