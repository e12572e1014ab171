"""Configurations made complete, written out for other machines, and with sections of others in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from redun import Scheduler
from redun.boto import get_boto_config, make_boto_config, set_boto_config
from redun.config import Config, load_config
from redun.errors import ConfigError, SchedulerError
from redun.scheduler_config import get_abs_config_dir, postprocess_config
from redun.scheduler_setup import make_scheduler, parse_func_path, parse_setup_args


def test_sections_that_are_taken_for_granted() -> None:
    config = postprocess_config(Config({"scheduler": {"context_file": "c.json"}}), "/tmp/folder")
    assert sorted(config.keys()) == ["backend", "repos", "scheduler"]
    assert config["repos"]["default"]["config_dir"] == "/tmp/folder"
    assert config["scheduler"]["context_file"] == "/tmp/folder/c.json"
    elsewhere = config.get_config_dict(replace_config_dir="/x")
    assert elsewhere["backend"]["config_dir"] == "/x"
    assert elsewhere["scheduler"]["context_file"] == "/x/c.json"
    assert Config(config.get_config_dict()).get_config_dict() == config.get_config_dict()


def test_what_botocore_refuses_names_the_option() -> None:
    set_boto_config({"nosuch": 3})
    try:
        with pytest.raises(ConfigError, match=r"'boto_config' in section \[scheduler\].*nosuch"):
            make_boto_config()
    finally:
        set_boto_config({})


def write(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "redun.ini").write_text(text)
    return folder


def test_federated_configurations(tmp_path: Path) -> None:
    write(tmp_path / "one", "[executors.a]\nscratch = $$5\n[limits]\ndb = 9\n")
    write(tmp_path / "two", "[federated_tasks.t]\nexecutor = a\n")
    own = write(tmp_path / "own", f"[scheduler]\nfederated_configs =\n  ../one\n  {tmp_path / 'two'}\n")
    config = load_config(own)
    assert config["executors"]["a"]["scratch"] == "$5"
    assert config["federated_tasks"]["t"]["executor"] == "a"
    assert config.get("limits") is None
    write(tmp_path / "two", "[executors.a]\n")
    with pytest.raises(AssertionError, match="Imported executor name `a` is a duplicate"):
        load_config(own)
    (tmp_path / "two" / "redun.ini").unlink()
    with pytest.raises(FileNotFoundError, match="No such file or directory"):
        load_config(own)


def test_both_contexts_are_an_error_of_the_scheduler(tmp_path: Path) -> None:
    own = write(tmp_path / "own", "[scheduler]\ncontext = {}\ncontext_file = c.json\n")
    with pytest.raises(SchedulerError, match="exclude each other"):
        load_config(own).check()


def test_boto_config_is_in_force() -> None:
    make_scheduler(Config({"scheduler": {"boto_config": {"read_timeout": 300}}}), None)
    assert get_boto_config() == {"read_timeout": 300}
    make_scheduler(Config(), None)
    assert get_boto_config() == {}


def test_how_often_the_status_is_shown() -> None:
    assert Scheduler().job_status_interval == 20
    assert Scheduler({"scheduler": {"job_status_interval": "0"}}).job_status_interval is None
    with pytest.raises(ConfigError, match="job_status_interval"):
        Scheduler({"scheduler": {"job_status_interval": "x"}})


def test_setup_arguments() -> None:
    def setup(config: Config, name: str, count: int = 1, fast: bool = False, loose=2.5) -> Scheduler:  # type: ignore[no-untyped-def]
        return Scheduler(config)

    found = parse_setup_args(setup, ["name=a=b", "count=3", "fast=true", "loose=1.5"])
    assert found == {"name": "a=b", "count": 3, "fast": True, "loose": 1.5}
    assert parse_func_path("a/b.py::f") == ("a/b.py", "f")
    with pytest.raises(ValueError, match="expected script"):
        parse_func_path("f")


def test_folders_of_configurations() -> None:
    assert get_abs_config_dir("../c", "/a/b") == "/a/c"
