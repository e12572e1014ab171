"""A second Ctrl-C leaves at once, wherever it comes: what is on the screen is taken away all the same."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest

from redun import Scheduler
from redun.cli import main as module
from redun.cli.screen import Screen


def test_while_the_module_of_scripts_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redun.scripting", ModuleType("redun.scripting"))
    scheduler = Scheduler(logger=False)
    left: list[bool] = []
    scheduler.on_leave = lambda: left.append(True)
    scheduler._leave()
    assert left == [True]


def test_right_after_something_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "terminal", "w") as error:
        screen = Screen(error, colours=False)
        put = screen._put

        def interrupted(text: str) -> None:
            put(text)
            if "a line" in text:
                screen.hide()

        monkeypatch.setattr(screen, "_put", interrupted)
        screen.show(["a line"])
    assert (tmp_path / "terminal").read_text().endswith("\x1b8\x1b[J")


def test_while_the_first_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback of ours: the handler of Python would raise inside the report."""
    told: list[int] = []

    def report(error: BaseException, debug: bool, colour: bool | None) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it goes on")

    def end(status: int) -> None:
        told.append(status)
        raise SystemExit(status)

    def interrupted(args: list[str], session: object) -> int:
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["redun", "log"])
    monkeypatch.setattr(module, "invoke", interrupted)
    # What is for a process of its own.
    monkeypatch.setattr("redun.garbage.collect_seldom", lambda: None)
    monkeypatch.setattr("atexit.register", lambda *_: None)
    monkeypatch.setattr("redun.cli.errors.report", report)
    monkeypatch.setattr(os, "_exit", end)
    try:
        with pytest.raises(SystemExit):
            module.main()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
    assert told == [130]
