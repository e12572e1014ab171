"""README files as tests: runs the `console` blocks of a Markdown file and compares what they print.

A block is what a terminal shows:

    $ redun run hello_world.py main       a command; further lines of it begin with ">"
    [redun] Run    Job 1a2b3c4d: ...      what it prints, standard output and standard error together
    ...                                   any number of lines, also none; inside a line: anything

Ids, dates, durations, versions and user names may differ, the rest may not. An id may be any, but the same one must stand for
the same thing in the whole file: so `redun log 1a2b3c4d` further down is run with the id that was really printed. The working
folder is shown as `HOME/<folder of the README>`. Lines of events (Run, Cached, Miss) and of files that stand together may come in
any order, since tasks run in parallel. Every command must end with status 0 unless the next one is `echo $?`. A block that
begins with ```python NAME is a file that the commands after it find.

`python tests/examples/console.py README.md` writes what is printed now into the file, for a person to read before committing.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HOME = "/home/ada"
ELISION = "..."
TIMEOUT_S = 300
# Lines whose order depends on which of two parallel jobs was first: events of a run, and files in a list.
EVENT = re.compile(r"\[redun\] (Run|Cached|Miss|Dryrun)\b|File [0-9a-f]{8} ")
# What may differ, tried in this order; the first groups are ids, of which the first 8 characters count.
TOKENS = [
    ("id", r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
    ("id", r"\b[0-9a-f]{40}\b"),
    ("id", r"\b[0-9a-f]{8}\b"),
    ("time", r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d"),
    ("duration", r"\b\d+\.\d+ seconds"),
    ("duration", r"\b\d+:\d\d:\d\d(?::\d\d)?\.\d+"),
    ("version", r"(?<=version )\d+\.\d+\.\w+|(?<=version=)\d+\.\d+\.\w+"),
    ("user", r"(?<=user=)[\w.-]+"),
    ("host", r"(?<=host=)[\w.-]+"),
    ("any", re.escape(ELISION)),
]
TOKEN = re.compile("|".join(f"(?P<t{place}>{pattern})" for place, (_, pattern) in enumerate(TOKENS)))


@dataclass
class Step:
    """One command of a README.

    Attributes:
        line: number of the command's line, from 1.
        first, last: the lines of its expected output, as a slice of the file's lines.
    """

    line: int
    command: str
    expected: list[str]
    first: int
    last: int


def steps(text: str) -> list[Step]:
    """List the commands in the console blocks of a Markdown text, and the files to be written, in order."""
    found: list[Step] = []
    block = ""
    for place, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            if block.startswith("python "):
                found[-1].command += "END_OF_FILE"
            block = "" if block else line[3:] or "text"
            if block.startswith("python "):
                found.append(Step(place, f"cat > {block.split()[1]} <<'END_OF_FILE'\n", [], place, place))
        elif block.startswith("python "):
            found[-1].command += line + "\n"
        elif block == "console" and line.startswith("$ "):
            found.append(Step(place, line[2:], [], place, place))
        elif block == "console" and found:
            step = found[-1]
            if not step.expected and step.last == place - 1 and (line == ">" or line.startswith("> ")):
                step.command += "\n" + line[2:]
                step.first = place
            else:
                step.expected.append(line.rstrip())
            step.last = place
    return found


@dataclass
class Ids:
    """Which printed id stands for which id of the README: one to one, first 8 characters each."""

    printed: dict[str, str] = field(default_factory=dict)

    def bind(self, pairs: Sequence[tuple[str, str]]) -> Ids | None:
        """Return the ids with more pairs (of the README, printed), None if they contradict what is known."""
        printed = dict(self.printed)
        shown = {value: key for key, value in printed.items()}
        for readme, real in pairs:
            readme, real = readme[:8], real[:8]
            if printed.setdefault(readme, real) != real or shown.setdefault(real, readme) != readme:
                return None
        return Ids(printed)

    def translate(self, text: str, names: Mapping[str, str]) -> str:
        """Replace the first 8 characters of every id that `names` knows."""
        return re.sub(r"\b[0-9a-f]{8}", lambda found: names.get(found[0], found[0]), text)


def match_line(expected: str, printed: str, ids: Ids) -> Ids | None:
    """Compare one line; return the ids with those that it taught, or None if it differs."""
    pattern = ""
    readme_ids: list[str] = []
    end = 0
    for found in TOKEN.finditer(expected):
        pattern += re.escape(expected[end : found.start()])
        kind, token = TOKENS[int((found.lastgroup or "t0")[1:])]
        if kind == "id":
            readme_ids.append(found[0])
            pattern += f"({token})"
        else:
            pattern += ".*" if kind == "any" else f"(?:{token})"
        end = found.end()
    matched = re.fullmatch(pattern + re.escape(expected[end:]), printed)
    return ids.bind(list(zip(readme_ids, matched.groups(), strict=True))) if matched else None


def match(expected: Sequence[str], printed: Sequence[str], ids: Ids) -> Ids | None:
    """Compare a whole output; return the ids with those that it taught, or None if it differs."""
    if not expected:
        return None if printed else ids
    if expected[0] == ELISION:
        for skipped in range(len(printed) + 1):
            rest = match(expected[1:], printed[skipped:], ids)
            if rest is not None:
                return rest
        return None
    # A run of event lines may be in any order: the first expected one may be any of as many printed ones as the run has.
    events = 0
    while events < len(expected) and EVENT.match(expected[events]):
        events += 1
    for place in range(min(max(events, 1), len(printed))):
        if place and not EVENT.match(printed[place]):
            break
        more = match_line(expected[0], printed[place], ids)
        rest = more and match(expected[1:], [*printed[:place], *printed[place + 1 :]], more)
        if rest is not None:
            return rest
    return None


@dataclass
class Terminal:
    """Runs the commands of one README, one after the other, in a copy of its folder."""

    folder: Path
    shown_folder: str
    environ: Mapping[str, str]
    status: int = 0

    def run(self, command: str) -> list[str]:
        """Run a command as bash would at a prompt; return what it printed, with the folder's name replaced."""
        done = subprocess.run(
            ["bash", "-c", f"(exit {self.status})\n{command}"],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
        self.status = done.returncode
        text = done.stdout.decode(errors="replace").replace(str(self.folder), self.shown_folder)
        return [line.rstrip() for line in text.splitlines()]


def open_terminal(readme: Path, environ: Mapping[str, str], scratch: Path) -> Terminal:
    """Copy the text files and folders beside a README into `scratch` (an empty folder) and return a terminal there."""
    folder = scratch.resolve() / readme.parent.name
    folder.mkdir()
    for path in readme.parent.iterdir():
        if path.suffix in {".py", ".c", ".csv", ".h", ".ipynb", ".md", ".sh"}:
            shutil.copy(path, folder)
        elif path.is_dir() and path.name[0] not in "._":
            shutil.copytree(path, folder / path.name)
    return Terminal(folder, f"{HOME}/{readme.parent.name}", environ)


def failures(readme: Path, environ: Mapping[str, str], scratch: Path) -> Iterator[str]:
    """Run a README; yield a message for the first step that does not do what it shows."""
    terminal = open_terminal(readme, environ, scratch)
    ids = Ids()
    todo = steps(readme.read_text())
    for step, following in zip(todo, [*todo[1:], None], strict=True):
        printed = terminal.run(ids.translate(step.command, ids.printed))
        more = match(step.expected, printed, ids)
        where = f"{readme}:{step.line}: $ {step.command}"
        if more is None:
            shown = "\n".join(
                ["--- the file shows", *step.expected, "--- it printed", *printed, f"--- ids known: {ids.printed}"]
            )
            yield f"{where}\n{shown}"
            return
        if terminal.status and not (following and following.command == "echo $?"):
            yield f"{where}\nended with status {terminal.status}, which the file does not show"
            return
        ids = more


def rewrite(readme: Path, environ: Mapping[str, str]) -> None:
    """Run a README and put what is printed now in place of what differs, keeping elisions that still fit."""
    text = readme.read_text()
    lines = text.splitlines()
    ids = Ids()
    outputs: list[tuple[Step, list[str]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        terminal = open_terminal(readme, environ, Path(scratch))
        for step in steps(text):
            printed = terminal.run(ids.translate(step.command, ids.printed))
            more = match(step.expected, printed, ids)
            if more is None:
                # Learn what can be learnt line by line, so that ids in later commands still mean what they meant.
                for expected in step.expected:
                    for line in printed:
                        better = None if expected == ELISION else match_line(expected, line, ids)
                        if better is not None:
                            ids = better
                            break
                shown = {real: name for name, real in ids.printed.items()}
                outputs.append((step, [ids.translate(line, shown) for line in printed]))
            else:
                ids = more
    for step, output in reversed(outputs):
        lines[step.first : step.last] = output
    readme.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve(), os.environ)
