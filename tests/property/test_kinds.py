"""Values of every kind have one id in every process, come back as what they were, and are found in the cache by the next run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from redun.encoding import ValueEncoder, restore, value_bytes, value_id
from redun.store.objects import Flag
from tests.golden.foreign import PACKAGES
from tests.property.kinds import MAKERS, essence
from tests.property.test_ids import ROOT, kinds_elsewhere


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    return {name: value_id(make()).hex() for name, make in MAKERS.items()}


@pytest.mark.parametrize("seed", range(8))
def test_ids_are_the_same_in_every_process(seed: int, ids: dict[str, str]) -> None:
    foreign = [package for package in PACKAGES if _is_there(package)]
    here = {**ids, **{f"{name} {key}": value_id(item).hex() for name in foreign for key, item in PACKAGES[name]().items()}}
    there = kinds_elsewhere(sys.executable, seed, *foreign)
    assert {name for name in here if here[name] != there[name]} == set()


def _is_there(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


@pytest.mark.parametrize("name", MAKERS)
def test_values_come_back_as_they_were(name: str) -> None:
    value = MAKERS[name]()
    encoder = ValueEncoder()
    encoder.object(value)
    assert not encoder.flags & Flag.UNSTABLE
    back = restore(value_bytes(value))
    assert type(back) is type(value)
    assert essence(back) == essence(value)
    assert value_id(back) == value_id(value)


@pytest.mark.parametrize("name", MAKERS)
def test_looking_at_a_value_does_not_change_its_id(name: str, ids: dict[str, str]) -> None:
    value = MAKERS[name]()
    if hasattr(value, "__dict__"):
        vars(value)
    repr(value)
    dir(value)
    assert value_id(value).hex() == ids[name]


def test_no_two_share_an_id(ids: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for name, one in ids.items():
        assert seen.setdefault(one, name) == name


SCRIPT = """
from redun import task
from tests.property.kinds import MAKERS, essence

redun_namespace = "kinds"

@task()
def make(name: str):
    return MAKERS[name]()

@task()
def use(value, name: str):
    return type(value) is type(MAKERS[name]()) and essence(value) == essence(MAKERS[name]())

@task()
def main(names: list[str]):
    return all_of([use(make(name), name) for name in names])

@task()
def all_of(found: list[bool]):
    return all(found)
"""


def test_a_second_run_takes_them_all_from_the_store(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    runs = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-m", "redun", "run", "flow.py", "main", "--names", *MAKERS],
            cwd=tmp_path,
            env={**env, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.strip() == "True"
        runs.append(done.stderr)
    assert runs[0].count("Run    Job") == 2 * len(MAKERS) + 2
    assert "Run    Job" not in runs[1]
    assert runs[1].count("Cached Job") == 2 * len(MAKERS) + 2
