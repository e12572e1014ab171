"""The list of packages against the folders, the built wheel, and the layer rules, which must be able to fail."""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import redun
from redun.version import __version__

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"redun": "redun", "redun.store": "store", "redun.cli": "cli"}


@pytest.fixture(scope="module")
def config() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def packages_on_disk() -> set[str]:
    found = set()
    for package, folder in FOLDERS.items():
        # os.walk does not follow the links redun/store and redun/cli, which is what is wanted here.
        for path, _, names in os.walk(ROOT / folder):
            if any(name.endswith(".py") for name in names):
                found.add(".".join([package, *Path(path).relative_to(ROOT / folder).parts]))
    return found


def modules_on_disk() -> set[str]:
    return {
        str(Path(*package.split("."), path.relative_to(ROOT / folder)))
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder).rglob("*.py")
        if not any(parent.is_symlink() for parent in path.parents)
    }


def test_every_folder_with_python_in_it_is_a_listed_package(config: configparser.ConfigParser) -> None:
    listed = config["options"]["packages"].split()
    assert sorted(listed) == sorted(packages_on_disk())
    assert listed == sorted(listed)


def test_every_package_has_an_init_file() -> None:
    for package in packages_on_disk():
        assert (ROOT / Path(*package.split(".")) / "__init__.py").is_file(), package


def test_the_mapping_and_the_links_agree(config: configparser.ConfigParser) -> None:
    mapping = dict(line.split(" = ") for line in config["options"]["package_dir"].strip().splitlines())
    assert mapping == FOLDERS
    for name in ("store", "cli"):
        assert os.readlink(ROOT / "redun" / name) == f"../{name}"


@pytest.mark.parametrize("name", ["store", "cli"])
def test_a_layer_refuses_to_be_imported_under_its_bare_name(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"this package is redun.{name}" in done.stderr


def test_the_version_is_stated_once() -> None:
    assert redun.__version__ == __version__
    holders = [path for path in modules_on_disk() if f'"{__version__}"' in (ROOT / path).read_text()]
    assert holders == ["redun/version.py"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of a copy of this tree, in this environment, without the network."""
    copy = tmp_path_factory.mktemp("build") / "tree"
    copy.mkdir()
    for name in ("redun", "store", "cli"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    backend = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", backend, str(copy)], cwd=copy, check=True, capture_output=True)
    (built,) = copy.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_once(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert {name for name in names if name.endswith(".py")} == modules_on_disk()
    assert "redun/py.typed" in names
    assert any(name.endswith("/LICENSE") for name in names)


def test_beside_the_wheel_a_users_own_modules_stay_theirs(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    user = tmp_path / "user"
    user.mkdir()
    for name in ("store", "cli"):
        (user / f"{name}.py").write_text("MINE = True\n")
    program = (
        "import redun.store, redun.cli, store, cli; assert store.MINE and cli.MINE; "
        "assert redun.store.__file__ != store.__file__; print(redun.__file__)"
    )
    environ = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run([sys.executable, "-c", program], cwd=user, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "site" / "redun" / "__init__.py")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("store/ids.py", "from redun.records import TaskRecord"),
        ("store/sources/base.py", "import redun"),
        ("store/journal.py", "from redun.cli import main"),
        ("redun/provenance/__init__.py", "import redun.cli.commands"),
        ("redun/__init__.py", "import redun.cli"),
        ("redun/records.py", "import click"),
        ("redun/records.py", "import lmdb"),
    ],
)
def test_an_import_against_the_arrows_breaks_a_contract(tmp_path: Path, module: str, line: str) -> None:
    for name in ("redun", "store", "cli"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n{line}\n")
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "broken" in done.stdout
