"""Type checkers see through tasks: programs that they must accept, and lines that they must refuse.

`programs/good.py` must pass both mypy and pyright in strict mode, `programs/bad.py` must give an error in each line that ends with
`# error` and in no other. Both checkers come with the development environment (pyright and its node from wheels): if one does not
start, the test fails.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "programs"
ROOT = Path(__file__).resolve().parents[2]
# The oldest Python that redun supports.
PYTHON_VERSION = "3.10"
MYPY_OPTIONS = ["--strict", "--follow-imports=silent", "--config-file=", "--no-pretty", f"--python-version={PYTHON_VERSION}"]

Errors = dict[str, dict[int, str]]


def run_mypy(folder: Path, programs: list[str]) -> Errors:
    """Check programs with mypy; return file name -> line -> message."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *MYPY_OPTIONS, "--cache-dir", str(folder / "cache"), *programs],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(folder / "packages")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Errors = {}
    for path, line, message in re.findall(r"^(.*?):(\d+): error: (.*)$", done.stdout, re.MULTILINE):
        found.setdefault(Path(path).name, {})[int(line)] = message
    assert (done.returncode == 1) == bool(found), done.stdout + done.stderr
    return found


def run_pyright(folder: Path, programs: list[str]) -> Errors:
    """Check programs with pyright; return file name -> line -> message."""
    config = {
        "include": programs,
        "extraPaths": ["packages"],
        "pythonVersion": PYTHON_VERSION,
        "typeCheckingMode": "strict",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(folder)],
        cwd=folder,
        env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(programs), done.stdout
    found: Errors = {}
    for one in report["generalDiagnostics"]:
        if one["severity"] == "error":
            found.setdefault(Path(one["file"]).name, {})[one["range"]["start"]["line"] + 1] = one["message"]
    return found


@pytest.mark.parametrize("check", [run_mypy, run_pyright])
def test_programs(check: Callable[[Path, list[str]], Errors], tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "redun").symlink_to(ROOT / "redun")
    programs = ["good.py", "bad.py"]
    for name in programs:
        shutil.copy(PROGRAMS / name, tmp_path)
    found = check(tmp_path, programs)
    assert found.pop("good.py", {}) == {}
    refused = found.pop("bad.py", {})
    lines = (PROGRAMS / "bad.py").read_text().splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    assert len(marked) > 30
    assert {number: lines[number - 1] for number in marked - set(refused)} == {}, "not refused"
    assert {number: message for number, message in refused.items() if number not in marked} == {}, "refused"
    assert found == {}
