"""`redun.tools`: files, folders and templates copied and rendered by tasks, again whenever they have to be."""

from __future__ import annotations

import pdb
import sys
from pathlib import Path
from typing import Any

import pytest

from redun import Dir, File, task
from redun.file import ContentDir, ContentFile
from redun.tools import copy_dir, copy_file, copy_files, debug_task, render_template

redun_namespace = "tools_test"


@pytest.fixture
def src(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("A")
    (folder / "sub" / "b").write_text("B")
    return folder


def test_a_file_is_copied_once_and_again_when_the_copy_is_lost_or_changed(runs: Any, src: Path, tmp_path: Path) -> None:
    dest = tmp_path / "out" / "a"
    copied = runs(copy_file(File(str(src / "a")), str(dest)))
    assert isinstance(copied, File)
    assert copied.path == str(dest)
    assert dest.read_text() == "A"
    before = dest.stat().st_mtime_ns
    runs(copy_file(File(str(src / "a")), str(dest)))
    assert dest.stat().st_mtime_ns == before
    for spoil in (dest.unlink, lambda: dest.write_text("spoilt")):
        spoil()
        runs(copy_file(File(str(src / "a")), str(dest)))
        assert dest.read_text() == "A"
    (src / "a").write_text("A2!")
    runs(copy_file(File(str(src / "a")), str(dest)))
    assert dest.read_text() == "A2!"


def test_what_exists_may_be_left_alone(runs: Any, src: Path, tmp_path: Path) -> None:
    dest = tmp_path / "mine"
    dest.write_text("mine")
    runs(copy_file(File(str(src / "a")), str(dest), skip_if_exists=True))
    assert dest.read_text() == "mine"


def test_the_family_of_a_file_stays(runs: Any, src: Path, tmp_path: Path) -> None:
    assert type(runs(copy_file(ContentFile(str(src / "a")), str(tmp_path / "c")))) is ContentFile
    assert type(runs(copy_dir(ContentDir(str(src)), str(tmp_path / "cd")))) is ContentDir


def test_files_are_copied_each_by_its_own_job(runs: Any, src: Path, tmp_path: Path) -> None:
    sources = [File(str(src / "a")), File(str(src / "sub" / "b"))]
    dests = [str(tmp_path / "1"), str(tmp_path / "2")]
    copied = runs(copy_files(sources, dests, copy_options={"executor": "default", "memory": 1}))
    assert [file.path for file in copied] == dests
    assert [Path(dest).read_text() for dest in dests] == ["A", "B"]
    Path(dests[1]).unlink()
    runs(copy_files(sources, dests))
    assert Path(dests[1]).read_text() == "B"


def test_as_many_paths_as_files(runs: Any, src: Path) -> None:
    with pytest.raises(ValueError, match="1 files and 2 paths"):
        runs(copy_files([File(str(src / "a"))], ["x", "y"]))


def test_a_folder_is_copied_whole_and_its_hash_is_that_of_the_finished_copy(runs: Any, src: Path, tmp_path: Path) -> None:
    dest = tmp_path / "copy"
    copied = runs(copy_dir(Dir(str(src)), str(dest)))
    assert copied.hash == Dir(str(dest)).hash
    assert {path.relative_to(dest).as_posix() for path in dest.rglob("*") if path.is_file()} == {"a", "sub/b"}
    assert runs(copy_dir(Dir(str(src)), str(dest))).hash == copied.hash
    (dest / "sub" / "b").unlink()
    runs(copy_dir(Dir(str(src)), str(dest)))
    assert (dest / "sub" / "b").read_text() == "B"


def test_an_empty_folder_and_one_that_is_not_there(runs: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    runs(copy_dir(Dir(str(tmp_path / "empty")), str(tmp_path / "empty2")))
    assert (tmp_path / "empty2").is_dir()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        runs(copy_dir(Dir(str(tmp_path / "nowhere")), str(tmp_path / "x")))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        runs(copy_file(File(str(tmp_path / "nowhere")), str(tmp_path / "x")))


def test_a_template_is_rendered_with_those_that_it_includes(runs: Any, tmp_path: Path) -> None:
    pytest.importorskip("jinja2")
    (tmp_path / "t").write_text("hello {{ name }} {% include 'part' %}\n")
    (tmp_path / "part").write_text("beside")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part").write_text("apart <{{ name }}>")
    out, template = tmp_path / "out", File(str(tmp_path / "t"))
    runs(render_template(str(out), template, {"name": "<bob>"}))
    assert out.read_text() == "hello <bob> beside"
    runs(render_template(str(out), template, {"name": "bob"}, template_dir=str(tmp_path / "parts")))
    assert out.read_text() == "hello bob apart <bob>"


def test_without_jinja2_the_error_names_it(runs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    (tmp_path / "t").write_text("")
    with pytest.raises(ImportError, match="'jinja2'"):
        runs(render_template(str(tmp_path / "out"), File(str(tmp_path / "t")), {}))


def test_debug_task_stops_in_the_debugger_every_time(runs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stops: list[int] = []
    monkeypatch.setattr(pdb, "set_trace", lambda **_: stops.append(1))
    monkeypatch.setattr(sys, "breakpointhook", lambda *_, **__: pdb.set_trace())

    @task
    def main() -> Any:
        return debug_task([1, 2])

    assert runs(main()) == [1, 2]
    assert runs(main()) == [1, 2]
    assert stops == [1, 1]
