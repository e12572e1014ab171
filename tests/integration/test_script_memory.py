"""A large standard output is in memory once, and not at all where it goes to a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SIZE = 200_000_000

FLOW = f"""
import resource, sys
from pathlib import Path
import redun
from redun import File, script, task

redun_namespace = "memory"

@task()
def size(data: bytes) -> int:
    return len(data)

@task(script=True)
def zeros() -> str:
    return "head -c {SIZE} /dev/zero"

@task()
def to_script(mode: str) -> int:
    return size.options(mode=mode)(script("head -c {SIZE} /dev/zero"))

@task()
def to_task(mode: str) -> int:
    return size.options(mode=mode)(zeros.options(mode=mode)())

@task()
def to_file(mode: str) -> File:
    return script("head -c {SIZE} /dev/zero", outputs=File("out.bin").stage("-"))

def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

if __name__ == "__main__":
    redun.run(size(b"x"), config_dir=".redun")
    before = peak()
    result = redun.run(globals()[sys.argv[1]](sys.argv[2]), config_dir=".redun")
    assert (result.size() if isinstance(result, File) else result) == {SIZE}
    print(peak() - before)
"""


@pytest.mark.parametrize(
    ("name", "mode", "copies"),
    [("to_script", "thread", 1.3), ("to_task", "thread", 1.3), ("to_task", "process", 1.3), ("to_file", "thread", 0.2)],
)
def test_the_peak(tmp_path: Path, name: str, mode: str, copies: float) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    # The second run takes it from the store.
    for _ in range(2):
        found = subprocess.run(
            [sys.executable, "flow.py", name, mode], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        assert int(found.stdout) < copies * SIZE
