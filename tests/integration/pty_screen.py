"""A small terminal for tests: runs a command on a pseudo-terminal and knows what a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT_S = 60
_TOKEN = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|\x1b([D78])|([\r\n\b])|([^\x1b\r\n\b]+)|(.)", re.DOTALL)


@dataclass
class Terminal:
    """Cells, a cursor, and the lines that have scrolled off the top.

    Attributes:
        unknown: sequences that it does not know: redun should not need them.
    """

    width: int = 80
    height: int = 24
    history: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows = [[" "] * self.width for _ in range(self.height)]
        self.row = self.column = 0
        self.saved = (0, 0)
        self.colours = 0
        self.descriptor = -1

    def resize(self, width: int) -> None:
        """Make the window narrower: lines that are longer are cut, as some terminals do."""
        self.width = width
        self.rows = [row[:width] for row in self.rows]
        self.column = min(self.column, width)
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", self.height, width, 0, 0))

    def feed(self, text: str) -> None:
        """Take output of a program."""
        for token in _TOKEN.finditer(text):
            private, numbers, letter, escape, control, plain, other = token.groups()
            if plain:
                for character in plain:
                    self._character(character)
            elif control == "\r":
                self.column = 0
            elif control == "\n" or escape == "D":
                self._down()
            elif escape == "7":
                self.saved = (self.row, self.column)
            elif escape == "8":
                self.row, self.column = self.saved
            elif letter == "A" and not private:
                self.row = max(0, self.row - int(numbers or 1))
            elif letter == "J" and not private and numbers in ("", "0"):
                self.rows[self.row][self.column :] = [" "] * (self.width - self.column)
                for row in range(self.row + 1, self.height):
                    self.rows[row] = [" "] * self.width
            elif letter == "m" and not private:
                self.colours += 1
            else:
                self.unknown.append(token[0] if not other else repr(other))

    def _character(self, character: str) -> None:
        if self.column >= self.width:
            self.column = 0
            self._down()
        self.rows[self.row][self.column] = character
        self.column += 1

    def _down(self) -> None:
        if self.row + 1 < self.height:
            self.row += 1
            return
        self.history.append("".join(self.rows.pop(0)).rstrip())
        self.rows.append([" "] * self.width)

    @property
    def screen(self) -> list[str]:
        """What is on the screen now."""
        return ["".join(row).rstrip() for row in self.rows]

    @property
    def text(self) -> str:
        """All that was ever left standing, blanks at the end left out."""
        return "\n".join([*self.history, *self.screen]).rstrip() + "\n"


@dataclass
class Shown:
    """What came of a command on a terminal: its raw output, the terminal, the exit status."""

    raw: str
    terminal: Terminal
    status: int


def run_on_terminal(
    argv: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    width: int = 80,
    height: int = 24,
    watch: Callable[[Terminal, subprocess.Popen[bytes]], None] | None = None,
    stdout: int | None = None,
) -> Shown:
    """Run a command with a terminal of its own as standard input, output and error.

    Args:
        watch: called after each piece of output.
        stdout: file descriptor of standard output instead of the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    terminal = Terminal(width, height)
    terminal.descriptor = ours
    process = subprocess.Popen(
        list(argv),
        cwd=cwd,
        env={"TERM": "xterm-256color", **env},
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    raw = b""
    fed = 0
    until_s = time.monotonic() + TIMEOUT_S
    try:
        while True:
            if not select.select([ours], [], [], TIMEOUT_S)[0] or time.monotonic() > until_s:
                raise AssertionError(f"it has not ended within {TIMEOUT_S} s; on the screen:\n{terminal.text}")
            try:
                data = os.read(ours, 65536)
            except OSError:
                # Linux: the last one who had it open has gone.
                break
            if not data:
                break
            raw += data
            text = raw.decode("utf-8", "ignore")
            # A sequence that is not complete waits for the rest.
            until = len(text) if "\x1b" not in text[-8:] else text.rfind("\x1b")
            terminal.feed(text[fed:until])
            fed = max(fed, until)
            if watch is not None:
                watch(terminal, process)
        terminal.feed(raw.decode("utf-8", "ignore")[fed:])
        return Shown(raw.decode("utf-8", "replace"), terminal, process.wait(TIMEOUT_S))
    finally:
        process.kill()
        process.wait()
        os.close(ours)
