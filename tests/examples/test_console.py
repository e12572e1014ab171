"""The comparison of READMEs must itself be able to fail."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Ids, failures, match, steps

README = """Text.

```python script.py
print(1)
```

```console
$ cat > note <<EOF
> one
>
> EOF
$ cat script.py note
print(1)
one

$ echo "Job 1a2b3c4d"; echo status 0:00:00.05
Job aaaaaaaa
status 0:00:01.23
$ echo see aaaaaaaa
see aaaaaaaa
$ false
$ echo $?
1
```

```sh
$ not run
```
"""


def fail_list(tmp_path: Path, text: str) -> list[str]:
    folder = tmp_path / "readme"
    folder.mkdir()
    (folder / "README.md").write_text(text)
    (tmp_path / "scratch").mkdir()
    return list(failures(folder / "README.md", {"PATH": "/usr/bin:/bin"}, tmp_path / "scratch"))


def test_steps_are_read_from_console_blocks_only() -> None:
    assert [(step.command, step.expected) for step in steps(README)] == [
        ("cat > script.py <<'END_OF_FILE'\nprint(1)\nEND_OF_FILE", []),
        ("cat > note <<EOF\none\n\nEOF", []),
        ("cat script.py note", ["print(1)", "one", ""]),
        ('echo "Job 1a2b3c4d"; echo status 0:00:00.05', ["Job aaaaaaaa", "status 0:00:01.23"]),
        ("echo see aaaaaaaa", ["see aaaaaaaa"]),
        ("false", []),
        ("echo $?", ["1"]),
    ]


def test_a_readme_that_holds_has_no_failures(tmp_path: Path) -> None:
    assert fail_list(tmp_path, README) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("see aaaaaaaa\n$ false", "see bbbbbbbb\n$ false"),
        ("status 0:00:01.23", "status soon"),
        ("$ echo $?\n1\n", ""),
        ("Job aaaaaaaa", "Job aaaaaaaa\nJob aaaaaaaa"),
    ],
)
def test_a_readme_that_does_not_hold_fails(tmp_path: Path, old: str, new: str) -> None:
    assert old in README
    assert len(fail_list(tmp_path, README.replace(old, new))) == 1


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        (["a", "...", "z"], ["a", "b", "c", "z"], True),
        (["a", "...", "z"], ["a", "z"], True),
        (["a", "...", "z"], ["a", "b"], False),
        (["f(...) on"], ["f(1, 2) on"], True),
        (
            ["[redun] Run    Job 00000001: a", "[redun] Run    Job 00000002: b"],
            ["[redun] Run    Job 0000000b: b", "[redun] Run    Job 0000000a: a"],
            True,
        ),
        (
            ["[redun] Run    Job 00000001: a", "[redun] Run    Job 00000001: b"],
            ["[redun] Run    Job 0000000b: b", "[redun] Run    Job 0000000a: a"],
            False,
        ),
        (["x", "y"], ["y", "x"], False),
        (["id 00000001", "id 00000002"], ["id 0000000a", "id 0000000a"], False),
    ],
)
def test_match(expected: list[str], printed: list[str], fits: bool) -> None:
    assert (match(expected, printed, Ids()) is not None) is fits
