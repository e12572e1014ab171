"""Programs on a disk that fails as it is told: the shim `disk.c` built, loaded, and steered.

The shim is loaded with LD_PRELOAD, so the process that steers is started under it; its forked children then do the work. It needs a C
compiler, as the example that compiles a program does.
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
_NUMBERS = struct.Struct("<QQqQ")
KILL = -1
AFTER, STICKY, HALF = 1, 2, 4


def build(folder: Path) -> Path:
    """Compile the shim; return the library."""
    library = folder / "disk.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "disk.c"), "-ldl"], check=True, capture_output=True
    )
    return library


def run_under(
    library: Path, root: Path, words: list[str], log: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a command whose changes below `root` go through the shim.

    Args:
        log: where each change is to be recorded.
    """
    with tempfile.NamedTemporaryFile() as control:
        control.write(bytes(_NUMBERS.size))
        control.flush()
        settings = {"LD_PRELOAD": str(library), "FAULT_ROOT": str(root), "FAULT_CONTROL": control.name, **environ}
        if log is not None:
            settings["FAULT_LOG"] = str(log)
        return subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True, check=False)


def run_program(library: Path, root: Path, program: str, *words: str, log: Path | None = None) -> str:
    """Run a program of `programs.py` under the shim and return what it printed."""
    done = run_under(
        library, root, [sys.executable, str(HERE / "programs.py"), program, str(root), *words], log, PYTHONPATH=_path()
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _path() -> str:
    # Only the package, as an installed one.
    import redun

    return str(Path(redun.__file__).resolve().parents[1]) if "site-packages" in redun.__file__ else os.pathsep.join(sys.path)


class Control:
    """The shim's control block, from inside a process that runs under it."""

    def __init__(self) -> None:
        with open(os.environ["FAULT_CONTROL"], "r+b") as file:
            self._map = mmap.mmap(file.fileno(), _NUMBERS.size)

    def arm(self, at: int, action: int, flags: int = 0) -> None:
        """Have the `at`-th change from now fail."""
        self._map[:] = _NUMBERS.pack(0, at, action, flags)

    def disarm(self) -> int:
        """Have nothing fail any more; return how many changes there were."""
        count = _NUMBERS.unpack(self._map[:])[0]
        self._map[:] = bytes(_NUMBERS.size)
        return int(count)
