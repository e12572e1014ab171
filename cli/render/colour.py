"""Colours: where they go in a line.

Only the sixteen colours that every terminal has and lets its user choose, and never one without a word that says the same.
"""

from __future__ import annotations

import re

RED, GREEN, YELLOW, BLUE, CYAN = 31, 32, 33, 34, 36
BOLD, FAINT = 1, 2
_RESET = "\x1b[0m"

_WORDS = {
    "DONE": GREEN,
    "CACHED": CYAN,
    "FAILED": RED,
    "CANCEL": YELLOW,
    "CANCELLED": YELLOW,
    "INTERRUPTED": YELLOW,
    "RUN": BLUE,
    "RUNNING": BLUE,
}
_EVENTS = {
    "Run": BLUE,
    "Cached": CYAN,
    "Retry": YELLOW,
    "Miss": YELLOW,
    "Dryrun": BLUE,
    "***": RED,
    "Warning:": YELLOW,
}

_BRACKETS = re.compile(r"\[ ?(DONE|CACHED|FAILED|CANCEL|INTERRUPTED|RUN) *\]")
# The head of a record as it is listed and shown in full.
_RECORD = re.compile(r"^( *(?:\(depth \d+\) )?)(Exec|Job|CallNode|Task|Value|File) ([0-9a-f][0-9a-f-]{7,})")
# The way to a job: `Traceback: Exec 60432ca8 > Job 4ba04437 main > ...`.
_PATH = re.compile(r"^ *(?:Traceback: Exec|Produced by Job|Consumed by Job) [0-9a-f]{8}")
_PATH_ID = re.compile(r"(?:(?<=Exec )|(?<=Job ))[0-9a-f]{8}\b")
# Dataflow: `result <-- <8c34026d> link(...)`, `  prog = <ee510692> 'prog'`.
_FLOW_ID = re.compile(r"^( *\w* *(?:<-- (?:argument of )?|= ))<([0-9a-f]{8})>")
_FRAME = re.compile(r'^( *)(?:(Job) ([0-9a-f]{8}): )?File "(.*)", line (\d+), in (.*)$')
_EVENT = re.compile(r"^(Run|Cached|Retry|Miss|Dryrun|\*\*\*|Warning:)(?= )")
_ERROR = re.compile(
    r"^( *(?:\| )*)([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Timeout|Group|Lost)\b[\w.]*)(:.*)?$"
)


def paint(text: str, *codes: int) -> str:
    """Return text in colours."""
    return f"\x1b[{';'.join(map(str, codes))}m{text}{_RESET}" if text else text


# Nearly all lines begin with one of these.
_COMMON = {f"{word:<6} ": f"{paint(word, _EVENTS[word])}{' ' * (7 - len(word))}" for word in ("Run", "Cached")}


def colour_event(line: str) -> str:
    """Return a line of a run's log (without its prefix) in colours."""
    common = _COMMON.get(line[:7])
    if common is not None:
        return common + line[7:]
    frame = _frame(line)
    if frame is not None:
        return frame
    found = _EVENT.match(line)
    if found is not None:
        return paint(found[1], _EVENTS[found[1]], *([BOLD] if found[1] == "***" else [])) + line[found.end() :]
    return colour_error(line)


def colour_error(line: str) -> str:
    """Return a line such as `ValueError: too large` in colours, any other line as it is."""
    found = _ERROR.match(line)
    return line if found is None else f"{found[1]}{paint(found[2], RED, BOLD)}{found[3] or ''}"


def colour_record(line: str) -> str:
    """Return a line of `redun log` in colours."""
    frame = _frame(line)
    if frame is not None:
        return frame
    if _ERROR.match(line):
        return colour_error(line)
    if _PATH.match(line):
        return _PATH_ID.sub(lambda found: paint(found[0], YELLOW), line)
    line = _FLOW_ID.sub(lambda found: f"{found[1]}<{paint(found[2], YELLOW)}>", line)
    line = _RECORD.sub(lambda found: f"{found[1]}{found[2]} {paint(found[3], YELLOW)}", line, count=1)
    return _BRACKETS.sub(lambda found: paint(found[0], _WORDS[found[1]]), line, count=1)


def _frame(line: str) -> str | None:
    found = _FRAME.match(line)
    if found is None:
        return None
    job = f"{found[2]} {paint(found[3], YELLOW)}: " if found[2] else ""
    return f'{found[1]}{job}File "{paint(found[4], CYAN)}", line {paint(found[5], CYAN)}, in {paint(found[6], BOLD)}'


def status_colour(name: str) -> int | None:
    """Return the colour of a status by its name, None if it has none."""
    return _WORDS.get(name)
