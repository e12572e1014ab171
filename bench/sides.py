"""Who is measured: this tree, another revision of it, or the existing package in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.measure import BenchError

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".bench"
# The existing package, and other tools that run functions; what each keeps of a run.
REQUIREMENTS = {"peer": "redun==0.44.1", "joblib": "joblib==1.6.0", "dask": "dask==2026.8.0", "doit": "doit==0.37.0"}
KEEPS = {
    "peer": "results and call graph",
    "joblib": "results (`Memory`; `Parallel` nothing)",
    "dask": "nothing",
    "doit": "results",
}

LAUNCHER = """#!{python}
import sys
if __name__ == "__main__":  # Worker processes import it once more.
    sys.argv[0] = "redun"
    from redun.cli.main import main
    sys.exit(main())
"""


@dataclass(frozen=True)
class Side:
    """One of those that are compared.

    Attributes:
        name: as shown in tables, and a folder's name.
        python: the words that start its Python.
        program: the `redun` to start; None: it is some other tool.
        tree: the source tree, where it is not installed: it comes before all else on the path of modules.
    """

    name: str
    python: tuple[str, ...]
    program: Path | None = None
    tree: Path | None = None

    @property
    def is_redun(self) -> bool:
        """Whether it has a `redun` command."""
        return self.program is not None

    def environ(self) -> dict[str, str]:
        """Return the environment of its processes: the user's, without what would change the outcome."""
        unwanted = ("REDUN_", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONPROFILEIMPORTTIME")
        found = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return {**found, "PYTHONPATH": str(self.tree)} if self.tree else found


def tree_side(name: str, tree: Path) -> Side:
    """Make a side of a source tree, run by the Python that runs this harness."""
    folder = SCRATCH / "bin" / name
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "redun"
    program.write_text(LAUNCHER.format(python=sys.executable))
    program.chmod(0o755)
    return Side(name, (sys.executable,), program, tree)


def other_side(name: str) -> Side:
    """Make a side of a tool named in `REQUIREMENTS`, installing it into an environment of its own at the first use.

    Raises:
        BenchError: it cannot be installed.
    """
    requirement = REQUIREMENTS[name]
    folder = SCRATCH / requirement
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"installing {requirement} into {folder.relative_to(ROOT)}", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            _install(requirement, folder, python)
        except subprocess.CalledProcessError as error:
            raise BenchError(f"cannot install {requirement}: {error}") from error
        (folder / "installed").touch()
    return Side(name, (str(python),), folder / "bin" / "redun" if name == "peer" else None)


def _install(requirement: str, folder: Path, python: Path) -> None:
    """Make an environment: with uv, which takes seconds, where it is there and works; else with pip, which takes a minute."""
    try:
        subprocess.run(["uv", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    else:
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        pip = ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python)]
    subprocess.run([*pip, requirement], check=True)


def git(*args: str) -> str:
    """Run git in this tree and return what it prints.

    Raises:
        BenchError: git fails.
    """
    done = subprocess.run(["git", "-C", str(ROOT), *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"git {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout.strip()


@contextmanager
def revision_sides(revisions: list[str]) -> Iterator[list[Side]]:
    """Check revisions out beside this tree (`git worktree`), and remove them again at the end; `.` is this tree as it lies here.

    Raises:
        BenchError: git does not know one of them.
    """
    trees: list[Path] = []
    sides: list[Side] = []
    try:
        for revision in revisions:
            if revision == ".":
                sides.append(tree_side("here", ROOT))
                continue
            commit = git("rev-parse", "--verify", f"{revision}^{{commit}}")
            name = f"{revision.replace('/', '_')}-{commit[:8]}"
            tree = SCRATCH / "trees" / name
            if tree not in trees:
                git("worktree", "add", "--force", "--detach", str(tree), commit)
                trees.append(tree)
            sides.append(tree_side(name, tree))
        yield sides
    finally:
        for tree in trees:
            git("worktree", "remove", "--force", str(tree))
