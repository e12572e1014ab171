"""What a run shows on a terminal while it goes on, and that nothing of it stays."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.pty_screen import Shown, Terminal, run_on_terminal

FLOW = '''
import os, time
from pathlib import Path
from redun import task
redun_namespace = "shown"

def wait_for(name):
    while not Path(name).exists():
        time.sleep(0.02)

@task()
def waits(n: int) -> int:
    """Ends when the test says so."""
    print(f"half {n} ", end="")
    wait_for("seen")
    print(f"whole {n}")
    return n

@task()
def fan(n: int = 3) -> list[int]:
    return [waits(i) for i in range(n)]

@task()
def fails() -> list[int]:
    return [waits(1), breaks()]

@task()
def breaks() -> int:
    wait_for("seen")
    raise ValueError("on purpose")

@task()
def a_name_that_is_much_longer_than_what_would_fit_into_a_row_of_the_table(n: int) -> int:
    return n

@task()
def long_names(n: int = 3) -> list[int]:
    return [waits(0), a_name_that_is_much_longer_than_what_would_fit_into_a_row_of_the_table(1)]
'''
DISPLAY = re.compile(r"\d+ of \d+ jobs, 0:\d\d")
EVENT = re.compile(r"^\[redun\] (Run|Cached) ")


@pytest.fixture
def env(redun_environ: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "flow.py").write_text(FLOW)
    return {key: value for key, value in redun_environ.items() if key not in ("NO_COLOR", "CLICOLOR_FORCE", "FORCE_COLOR")}


def run(tmp_path: Path, env: dict[str, str], *words: str, until: str = " jobs, ", width: int = 80, **more: object) -> Shown:
    """Run a task whose jobs wait until `until` is on the screen."""

    def watch(terminal: Terminal, process: subprocess.Popen[bytes]) -> None:
        if any(until in line for line in terminal.screen):
            (tmp_path / "seen").touch()

    return run_on_terminal(["redun", *words], tmp_path, env, width, watch=watch, **more)  # type: ignore[arg-type]


def test_it_is_shown_and_nothing_stays(tmp_path: Path, env: dict[str, str]) -> None:
    shown = run(tmp_path, env, "run", "flow.py", "fan", until=" of 4 jobs, ")
    assert shown.status == 0
    text = shown.terminal.text
    assert "[0, 1, 2]" in text
    assert not DISPLAY.search(text), text
    # It shows what a task printed in halves, whole.
    assert sorted(re.findall(r"whole \d", text)) == ["whole 0", "whole 1", "whole 2"]
    assert len([line for line in text.splitlines() if EVENT.match(line)]) == 4
    assert shown.terminal.unknown == []
    assert "\x1b[?" not in shown.raw, "nothing is hidden that would have to be put right"
    assert DISPLAY.search(shown.raw.replace("\x1b[1m", ""))


def test_the_lines_that_stay_are_those_of_a_pipe(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "seen").touch()
    subprocess.run(["redun", "run", "flow.py", "fan"], cwd=tmp_path, env=env, capture_output=True, check=True, timeout=120)
    piped = subprocess.run(
        ["redun", "run", "flow.py", "fan"], cwd=tmp_path, env=env, capture_output=True, check=True, text=True, timeout=120
    )
    shown = run_on_terminal(["redun", "run", "flow.py", "fan"], tmp_path, env, 200)
    assert _without_changes(shown.terminal.text) == _without_changes(piped.stderr + piped.stdout)
    assert "\x1b" not in piped.stderr + piped.stdout


def _without_changes(text: str) -> list[str]:
    text = re.sub(r"\d{4}/\d\d/\d\d [\d:]+|[\d.]+ seconds|Execution [0-9a-f-]{36}|Job [0-9a-f]{8}", "-", text)
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_every_line_fits(tmp_path: Path, env: dict[str, str], width: int) -> None:
    shown = run(tmp_path, env, "run", "flow.py", "long_names", until=" of " if width > 40 else "/3", width=width)
    assert shown.status == 0
    drawn = re.findall(r"\x1b7(.*?)\x1b8", shown.raw, re.DOTALL)
    assert drawn
    for frame in drawn:
        for line in frame.split("\r\n"):
            plain = re.sub(r"\x1b\[[\d;]*m", "", line).strip("\r\n")
            assert len(plain) < width, plain
    row = re.compile(r"^\[redun\] \| shown\.\S*table +(\d+ +){5}\d+$", re.MULTILINE)
    assert row.search(shown.terminal.text) or width < 80


def test_a_window_that_becomes_narrower(tmp_path: Path, env: dict[str, str]) -> None:
    def watch(terminal: Terminal, process: subprocess.Popen[bytes]) -> None:
        if not any("/4, 0:" in line or DISPLAY.search(line) for line in terminal.screen):
            return
        if terminal.width == 80:
            terminal.resize(39)
        elif any("/4, 0:" in line for line in terminal.screen):
            (tmp_path / "seen").touch()

    shown = run_on_terminal(["redun", "run", "flow.py", "fan"], tmp_path, env, watch=watch)
    assert shown.status == 0
    last = re.findall(r"\x1b7(.*?)\x1b8", shown.raw, re.DOTALL)[-1]
    assert [line for line in re.sub(r"\x1b\[[\d;]*m", "", last).split("\r\n") if len(line.rstrip()) >= 39] == []


def test_plain_lines_and_no_colours(tmp_path: Path, env: dict[str, str]) -> None:
    (tmp_path / "seen").touch()
    for words, more in (
        (("run", "--plain", "flow.py", "fan"), {}),
        (("run", "flow.py", "fan"), {"TERM": "dumb"}),
    ):
        shown = run_on_terminal(["redun", *words], tmp_path, {**env, **more})
        assert shown.status == 0
        assert "\x1b" not in shown.raw


def test_no_colour_but_the_display(tmp_path: Path, env: dict[str, str]) -> None:
    shown = run(tmp_path, {**env, "NO_COLOR": "1"}, "run", "flow.py", "fan")
    assert shown.status == 0
    assert shown.terminal.colours == 0
    assert DISPLAY.search(shown.raw)


def test_a_failure_is_told_in_colours(tmp_path: Path, env: dict[str, str]) -> None:
    shown = run(tmp_path, env, "run", "flow.py", "fails")
    assert shown.status == 1
    text = shown.terminal.text
    assert not DISPLAY.search(text)
    assert "[redun] ValueError: on purpose" in text
    assert "\x1b[31;1mValueError\x1b[0m: on purpose" in shown.raw
    assert "/redun/evaluation/" not in text


def test_the_result_alone_goes_to_a_file(tmp_path: Path, env: dict[str, str]) -> None:
    with open(tmp_path / "result", "wb") as result:
        shown = run(tmp_path, env, "run", "flow.py", "fan", stdout=result.fileno())
    assert shown.status == 0
    assert not DISPLAY.search(shown.terminal.text)
    assert (tmp_path / "result").read_text().splitlines()[-1] == "[0, 1, 2]"
    assert "\x1b" not in (tmp_path / "result").read_text()


@pytest.mark.parametrize("times", [1, 2])
def test_an_interruption_leaves_nothing(tmp_path: Path, env: dict[str, str], times: int) -> None:
    sent: list[int] = []

    def watch(terminal: Terminal, process: subprocess.Popen[bytes]) -> None:
        if not sent and any(DISPLAY.search(line) for line in terminal.screen):
            for _ in range(times):
                sent.append(process.pid)
                os.kill(process.pid, signal.SIGINT)

    shown = run_on_terminal(["redun", "run", "flow.py", "fan"], tmp_path, env, watch=watch)
    assert shown.status == 130
    assert not DISPLAY.search(shown.terminal.text), shown.terminal.text
    assert shown.terminal.unknown == []


def test_the_debugger_gets_the_terminal(tmp_path: Path, env: dict[str, str]) -> None:
    answered: list[bool] = []

    def watch(terminal: Terminal, process: subprocess.Popen[bytes]) -> None:
        if any(DISPLAY.search(line) for line in terminal.screen):
            (tmp_path / "seen").touch()
        if not answered and any(line.startswith("(Pdb)") for line in terminal.screen):
            answered.append(True)
            assert not any(DISPLAY.search(line) for line in terminal.screen)
            process.send_signal(signal.SIGKILL)

    shown = run_on_terminal(["redun", "run", "--pdb", "flow.py", "fails"], tmp_path, env, watch=watch)
    assert answered
    assert "-> raise ValueError" in shown.terminal.text
