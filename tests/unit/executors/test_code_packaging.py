"""Code packages: what is in them, that equal code makes one of them, that nothing in one leaves its folder."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from redun import File
from redun.executors.code_packaging import (
    create_tar,
    create_zip,
    extract_tar,
    find_code_files,
    package_code,
    parse_code_package_config,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("flow.py", "lib/part.py", "lib/data.csv", ".venv/hidden.py", "old/gone.py"):
        path = tmp_path / "work" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def names(package: File) -> set[str]:
    with tarfile.open(package.path) as tar:
        return {os.path.normpath(name) for name in tar.getnames()}


def test_what_is_found(here: Path) -> None:
    def found(**patterns: list[str]) -> set[str]:
        return {os.path.normpath(path) for path in find_code_files(**patterns)}

    assert found() == {"flow.py", "lib/part.py", "old/gone.py"}
    assert found(excludes=["old/**"]) == {"flow.py", "lib/part.py"}
    assert found(includes=["lib/*"]) == {"lib/part.py", "lib/data.csv"}
    assert found(includes=[]) == set()


def test_equal_code_makes_one_package(here: Path) -> None:
    scratch = str(here / "scratch")
    first = package_code(scratch, {"includes": ["**/*.py"], "excludes": ["old/*"]})
    written = os.stat(first.path).st_mtime_ns
    assert names(first) == {"flow.py", "lib/part.py"}
    again = package_code(scratch, {"includes": ["**/*.py"], "excludes": ["old/*"]})
    assert (again.path, os.stat(again.path).st_mtime_ns) == (first.path, written)
    Path("flow.py").write_text("# other\n")
    assert package_code(scratch, {"excludes": ["old/*"]}).path != first.path
    assert package_code(scratch, basename="mine", arcname_prefix="in").path == f"{scratch}/code/mine.tar.gz"
    assert names(File(f"{scratch}/code/mine.tar.gz")) == {"in/flow.py", "in/lib/part.py", "in/old/gone.py"}
    with zipfile.ZipFile(package_code(scratch, use_zip=True).path) as packed:
        assert set(packed.namelist()) == {"flow.py", "lib/part.py", "old/gone.py"}


def test_back_again(here: Path) -> None:
    package = create_tar(str(here / "code.tar.gz"), ["flow.py", "lib/part.py"])
    extract_tar(package, str(here / "out"))
    assert (here / "out" / "lib" / "part.py").read_text() == "# lib/part.py\n"
    create_zip(str(here / "code.zip"), "lib", ["lib/part.py"], "deep")
    with zipfile.ZipFile(here / "code.zip") as packed:
        assert packed.namelist() == ["deep/part.py"]


def test_nothing_leaves_the_folder(here: Path) -> None:
    with tarfile.open(here / "bad.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("../outside.py")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(tarfile.TarError):
        extract_tar(File(str(here / "bad.tar.gz")), str(here / "work"))
    assert not (here / "outside.py").exists()


def test_options_of_a_section() -> None:
    assert parse_code_package_config({}) == {"includes": ["**/*.py"], "excludes": []}
    section = {"code_includes": "*.py 'a b/*'", "code_excludes": "x.py", "code_package": "True"}
    assert parse_code_package_config(section) == {"includes": ["*.py", "a b/*"], "excludes": ["x.py"]}
    assert parse_code_package_config({"code_package": "false"}) is False
    with pytest.raises(ValueError, match="perhaps"):
        parse_code_package_config({"code_package": "perhaps"})
