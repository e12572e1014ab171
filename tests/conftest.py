"""What every test gets: an environment without the user's own redun settings, and a `redun` command of this very tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Tests of real servers: `make test-real` installs and starts them.
collect_ignore = [] if os.environ.get("REAL") else ["real"]

LAUNCHER = """#!{python}
import sys
if __name__ == "__main__":  # Worker processes import it once more.
    sys.argv[0] = "redun"
    from redun.cli.main import main
    sys.exit(main())
"""


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("REDUN_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def redun_environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment for subprocesses in which `redun` is the command line of this tree and no other.

    It is passed whole (`subprocess.run(..., env=redun_environ)`); the folder of the tree is not on its `sys.path` as such, only
    the package, so that a user's own `store.py` or `cli.py` stays theirs.
    """
    folder = tmp_path_factory.mktemp("bin")
    packages = tmp_path_factory.mktemp("packages")
    (packages / "redun").symlink_to(ROOT / "redun")
    launcher = folder / "redun"
    launcher.write_text(LAUNCHER.format(python=sys.executable))
    launcher.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("REDUN_", "PYTEST_"))}
    environ["PATH"] = os.pathsep.join([str(folder), str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    environ["PYTHONPATH"] = str(packages)
    return environ


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """Escape what UTF-8 cannot say in reports that workers send: one lone surrogate in one traceback would end the whole session."""
    return _sayable((yield))


def _sayable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(data, dict):
        return {_sayable(key): _sayable(item) for key, item in data.items()}
    if isinstance(data, (list, tuple)):
        return type(data)([_sayable(item) for item in data])
    return data
