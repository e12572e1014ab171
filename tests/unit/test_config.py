"""Configuration: reading, interpolation, finding the folder, the context, and what is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from redun.config import Config, find_folder, load_config, make_folder, open_store, read_context
from redun.errors import ConfigError


def read(text: str) -> Config:
    config = Config(configdir="/nowhere")
    config.source = "redun.ini"
    config.read_string(text)
    return config


def test_sections_with_dots_are_nested() -> None:
    config = read("[executors.default]\ntype = local\nmax_workers = 20\n[executors.a.b]\nx = 1\n[limits]\ndb = 3\n")
    assert set(config["executors"]) == {"default", "a"}
    assert dict(config["executors"]["default"]) == {"type": "local", "max_workers": "20"}
    assert config["executors"]["default"].getint("max_workers") == 20
    assert dict(config["executors"]["a"]["b"]) == {"x": "1"}
    assert list(config.keys()) == ["executors", "limits"]
    assert config.get("nothing") is None
    assert config.get("nothing", 3) == 3
    with pytest.raises(KeyError):
        config["nothing"]


def test_a_dict_is_read_as_a_file_is() -> None:
    flat = Config({"executors.default": {"max_workers": 20}, "limits": {"db": 3}})
    nested = Config({"executors": {"default": {"max_workers": 20}}, "limits": {"db": 3}})
    for config in (flat, nested):
        assert config.get_config_dict() == {"executors.default": {"max_workers": "20"}, "limits": {"db": "3"}}
        assert Config(config.get_config_dict()).get_config_dict() == config.get_config_dict()


def test_keys_are_case_sensitive() -> None:
    assert dict(read("[limits]\ndb = 1\nDB = 2\n")["limits"]) == {"db": "1", "DB": "2"}


def test_interpolation_order(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[DEFAULT]\nA = default\nB = default\nC = default\n[limits]\nB = own\nC = own\nx = ${A} ${B} ${C} ${D} $$ $5\nD = ${A}\n"
    monkeypatch.delenv("A", raising=False)
    monkeypatch.delenv("B", raising=False)
    monkeypatch.setenv("C", "environ")
    config = read(text)
    assert config["limits"]["x"] == "default own environ default $ $5"
    assert read("[limits]\nx = ${backend:path}\n[backend]\npath = p\n")["limits"]["x"] == "p"
    # [DEFAULT] is there when asked by name, and is no option of the section.
    assert config["limits"]["A"] == "default"
    assert "A" not in dict(config["limits"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("x = 1\n", ["line 1", "'x = 1'"]),
        ("[a]\nnonsense\n", ["line 2", "'nonsense'"]),
        ("[a]\nx = 1\nx = 2\n", ["line 3", "'x'", "[a]"]),
        ("[a]\n[b]\n[a]\n", ["line 3", "[a]"]),
    ],
)
def test_what_is_no_ini_file(text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert [part for part in ["redun.ini", *parts] if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[limits]\ndb = x\n", ["'db'", "[limits]", "'x'"]),
        ("[limits]\ndb = -1\n", ["'db'", "'-1'"]),
        ("[executors.e]\nmax_workers = 0\n", ["'max_workers'", "[executors.e]"]),
        ("[backend]\nexclusive = maybe\n", ["'exclusive'", "'maybe'"]),
        ("[scheduler]\njob_status_interval = often\n", ["'job_status_interval'"]),
        ("[scheduler]\njob_status_interval = inf\n", ["'job_status_interval'", "'inf'"]),
        ("[scheduler]\njob_status_interval = nan\n", ["'job_status_interval'", "'nan'"]),
        ("[executors.e]\ntype = local\nmode = proces\n", ["'mode'", "[executors.e]", "'process'"]),
        ("[executors.e]\nstart_method = frok\n", ["'start_method'", "[executors.e]", "'fork'"]),
        ("[scheduler]\ncontext = [1]\n", ["'context'", "JSON object"]),
        ("[scheduler]\ncontext = {}\ncontext_file = x\n", ["'context'", "'context_file'"]),
        ("[scheduler]\ncontext_file = no.json\n", ["'context_file'", "'/nowhere/no.json'"]),
        ("[any]\nx = ${no_such_name}\n", ["'x'", "[any]", "${no_such_name}"]),
        ("[any]\nx = ${y}\ny = ${x}\n", ["refers to itself"]),
    ],
)
def test_bad_values_name_the_place(text: str, parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text).check()
    assert [part for part in ["redun.ini", *parts] if part not in str(caught.value)] == []


def test_what_nobody_reads_is_warned_of() -> None:
    config = read(
        "[limit]\na = 1\n[backend]\npth = x\ndb_uri = y\n"
        "[scheduler]\nbase = {}\ncontext = ${base}\nsetup_schedulr = s::f\n[executors]\nz = 1\n"
    )
    warnings = config.check()
    assert len(warnings) == 5
    for warning, part in zip(
        warnings,
        ["[limit]: did you mean [limits]?", "did you mean 'path'?", "'db_uri'", "'setup_scheduler'", "[executors.NAME]"],
        strict=True,
    ):
        assert part in warning


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("[executors.e]\ntype = local\nmax_worker = 3\n", "option 'max_worker' in section [executors.e] looks misspelt"),
        ("[federated_tasks.t]\nload_modul = m\n", "did you mean 'load_module'?"),
        ("[scheduler]\nignore_warnings = namspace\n", "no warning is called 'namspace'"),
    ],
)
def test_what_looks_misspelt_is_warned_of(text: str, part: str) -> None:
    (warning,) = read(text).check()
    assert warning.startswith("redun.ini: ")
    assert part in warning


def test_options_of_tasks_and_of_executors_of_ones_own_are_not_warned_of() -> None:
    text = "[executors.e]\nclass = m:E\nmode = mine\nmemory = 4\nvcpus = 2\nimage = i\nqueue = q\ntimeout = 5\n"
    assert read(text).check() == []


def test_the_default_ini_is_fine(tmp_path: Path) -> None:
    make_folder(tmp_path / "c")
    config = load_config(tmp_path / "c")
    assert config.check() == []
    assert config.configdir == str(tmp_path / "c")


def test_the_nearest_parent_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert find_folder() == inner / ".redun"
    make_folder(tmp_path / ".redun")
    assert find_folder() == tmp_path / ".redun"
    make_folder(tmp_path / "a" / ".redun")
    assert find_folder() == tmp_path / "a" / ".redun"
    monkeypatch.setenv("REDUN_CONFIG", "other")
    assert find_folder() == inner / "other"
    assert find_folder(tmp_path / ".redun") == tmp_path / ".redun"


def test_many_at_once_make_one_folder(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    made: list[bool] = []

    def make() -> None:
        barrier.wait()
        made.append(make_folder(tmp_path / "new" / ".redun"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert True in made
    assert os.listdir(tmp_path / "new" / ".redun") == ["redun.ini"]


def test_context_file_is_relative_to_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "redun.ini").write_text("[scheduler]\ncontext_file = sub.json\n")
    (tmp_path / "sub.json").write_text('{"a": {"b": 1}}')
    monkeypatch.chdir("/")
    assert read_context(load_config(tmp_path)) == {"a": {"b": 1}}
    assert read_context(Config({"scheduler": {"context": {"a": 2}}})) == {"a": 2}
    assert read_context(Config()) == {}


def test_the_store_may_lie_elsewhere(tmp_path: Path) -> None:
    make_folder(tmp_path / "c")
    with open_store(tmp_path / "c") as store:
        assert store.folder == tmp_path / "c" / "store"
    for path in ("../moved", str(tmp_path / "moved")):
        with open_store(tmp_path / "c", Config({"backend": {"path": path}}, str(tmp_path / "c"))) as store:
            assert store.folder is not None
            assert store.folder.resolve() == tmp_path / "moved"
