"""Notebooks as tests: runs the code cells of an `.ipynb` in order, in plain Python, and tells what each one shows.

As in Jupyter, a cell shows what it prints and the repr of its last line, if that is an expression, and the source of its functions can
be looked up. Needs nothing but the standard library.

`python tests/examples/notebook.py NOTEBOOK` writes what is shown now into the file, for a person to read before committing.
"""

from __future__ import annotations

import ast
import io
import json
import linecache
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """List the code cells of a notebook."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> str:
    """Return what a notebook says that a cell shows."""
    texts = []
    for output in cell["outputs"]:
        text = output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
        texts.append("".join(text))
    return "\n".join([text.rstrip("\n") for text in texts])


def run_cells(path: Path) -> Iterator[tuple[dict[str, Any], str, str]]:
    """Run the code cells of a notebook; yield each with what it printed and the repr of its last expression."""
    notebook = json.loads(path.read_text())
    names: dict[str, Any] = {"__name__": "notebook"}
    for number, cell in enumerate(code_cells(notebook), 1):
        source = "".join(cell["source"])
        file_name = f"<{path.name} cell {number}>"
        linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
        body = ast.parse(source, file_name).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        printed = io.StringIO()
        result = ""
        with redirect_stdout(printed), redirect_stderr(printed):
            exec(compile(ast.Module(body, []), file_name, "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), file_name, "eval"), names)
                result = "" if value is None else repr(value)
        yield cell, printed.getvalue().rstrip("\n"), result


def rewrite(path: Path) -> None:
    """Run a notebook and write what it shows into it."""
    notebook = json.loads(path.read_text())
    for number, (cell, (_, printed, result)) in enumerate(zip(code_cells(notebook), run_cells(path), strict=True), 1):
        cell["execution_count"] = number
        cell["outputs"] = []
        if printed:
            lines = f"{printed}\n".splitlines(keepends=True)
            cell["outputs"].append({"name": "stdout", "output_type": "stream", "text": lines})
        if result:
            cell["outputs"].append(
                {
                    "data": {"text/plain": result.splitlines(keepends=True)},
                    "execution_count": number,
                    "metadata": {},
                    "output_type": "execute_result",
                }
            )
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
