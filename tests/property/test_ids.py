"""The promise of the cache: one value, one id, in every process, for every hash seed, on every Python that we support.

A thousand values are generated; each travels as the text of a Python expression, so that every process builds its own from scratch.
"""

from __future__ import annotations

import copy
import datetime as dt
import enum
import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from redun.encoding import restore, value_bytes, value_id
from tests.golden.make import Box, Color, Plain, Point, Tagged
from tests.property.kinds import MAKERS
from tests.property.test_codec import VALUES, same

ROOT = Path(__file__).resolve().parents[2]
HOW_MANY = 1000

PLAIN = VALUES
NAMED = st.recursive(
    st.one_of(PLAIN, st.sampled_from(list(Color)), st.sampled_from([len, Plain, int, sorted])),
    lambda inner: st.one_of(
        st.builds(Point, inner, inner),
        st.builds(Box, inner, st.text(max_size=3)),
        st.builds(Plain, inner),
        st.builds(Tagged, inner),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)

PROGRAM = """
import datetime, decimal, fractions, json, pathlib, struct, sys, uuid, zoneinfo
from redun.encoding import value_id
from tests.golden.make import Box, Color, Plain, Point, Tagged
def number(text): return struct.unpack(">d", bytes.fromhex(text))[0]
for line in open(sys.argv[1]):
    print(value_id(eval(json.loads(line))).hex())
"""


def source(value: Any) -> str:
    """Return a Python expression that makes an equal value, bit by bit."""
    import struct

    kind = type(value)
    if kind is float:
        return f"number({struct.pack('>d', value).hex()!r})"
    if kind is complex:
        return f"complex({source(value.real)}, {source(value.imag)})"
    if kind in (list, tuple):
        inside = "".join(f"{source(item)}, " for item in value)
        return f"[{inside}]" if kind is list else f"({inside})"
    if kind in (set, frozenset):
        return f"{kind.__name__}([{', '.join(map(source, value))}])"
    if kind is dict:
        return f"{{{', '.join(f'{source(key)}: {source(item)}' for key, item in value.items())}}}"
    if isinstance(value, enum.Enum):
        return f"Color.{value.name}"
    if kind is Point:
        return f"Point({source(value.x)}, {source(value.y)})"
    if kind is Box:
        return f"Box({source(value.item)}, {source(value.label)})"
    if kind in (Plain, Tagged):
        return f"{kind.__name__}({source(value.a if kind is Plain else value.tag)})"
    if kind is dt.datetime and value.tzinfo is not None:
        return f"{source(value.replace(tzinfo=None))}.replace(tzinfo={value.tzinfo!a})"
    if kind is type:
        return str(value.__name__)
    if callable(value):
        return str(value.__qualname__)
    text = ascii(value)
    module = {
        "Decimal": "decimal.",
        "Fraction": "fractions.",
        "UUID": "uuid.",
        "PurePosixPath": "pathlib.",
        "PureWindowsPath": "pathlib.",
    }
    return module.get(kind.__name__, "") + text


@pytest.fixture(scope="module")
def generated() -> list[Any]:
    """A thousand values, or a few more."""
    values: list[Any] = []
    for strategy in (PLAIN, NAMED):

        @settings(
            max_examples=HOW_MANY * 6 // 10,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def collect(value: Any) -> None:
            values.append(value)

        collect()
    assert len(values) >= HOW_MANY
    return values


@pytest.fixture(scope="module")
def expressions(generated: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("ids") / "values"
    path.write_text("".join(json.dumps(source(value)) + "\n" for value in generated))
    return path


def ids_elsewhere(python: str, seed: int, expressions: Path, packages: str = "") -> list[str]:
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), packages]))}
    done = subprocess.run([python, "-c", PROGRAM, str(expressions)], env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


KINDS_PROGRAM = """
import json, sys, warnings
warnings.simplefilter("ignore")
from redun.encoding import value_id
from tests.property.kinds import MAKERS
made = {name: value_id(make()).hex() for name, make in MAKERS.items()}
if len(sys.argv) > 1:
    from tests.golden.foreign import PACKAGES
    for package in sys.argv[1:]:
        made.update({f"{package} {name}": value_id(value).hex() for name, value in PACKAGES[package]().items()})
print(json.dumps(made))
"""


def kinds_elsewhere(python: str, seed: int, *foreign: str, packages: str = "") -> dict[str, str]:
    env = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), packages]))}
    done = subprocess.run([python, "-c", KINDS_PROGRAM, *foreign], env=env, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_ids_are_the_same_in_every_process(seed: int, generated: list[Any], expressions: Path) -> None:
    here = [value_id(value).hex() for value in generated]
    there = ids_elsewhere(sys.executable, seed, expressions)
    different = [source(value) for value, one, two in zip(generated, here, there, strict=True) if one != two]
    assert different == []


def find_python(version: str) -> str | None:
    for folder in sorted(Path.home().glob(f".pyenv/versions/{version}.*")):
        if (folder / "bin" / "python").exists():
            return str(folder / "bin" / "python")
    found = shutil.which(f"python{version}")
    # A shim may be there without the Python that it stands for.
    works = found is not None and subprocess.run([found, "-c", "pass"], capture_output=True, check=False).returncode == 0
    return found if works else None


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_ids_are_the_same_on_every_python(
    version: str, generated: list[Any], expressions: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return
    python = find_python(version)
    if python is None:
        pytest.skip(f"PYTHON {version} IS NOT ON THIS MACHINE: its ids were not compared")
    packages = tmp_path_factory.mktemp(f"python{version}")
    install = [
        python,
        "-m",
        "pip",
        "install",
        "-q",
        "--disable-pip-version-check",
        "--target",
        str(packages),
        "msgpack",
        "xxhash",
    ]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    here = [value_id(value).hex() for value in generated]
    assert ids_elsewhere(python, 0, expressions, str(packages)) == here
    kinds = kinds_elsewhere(python, 1, packages=str(packages))
    assert len(kinds) > 100
    assert {name for name, found in kinds.items() if found != value_id(MAKERS[name]()).hex()} == set()


def test_values_come_back_equal_and_of_the_same_type(generated: list[Any]) -> None:
    for value in generated:
        back = restore(value_bytes(value))
        assert type(back) is type(value)
        assert value_id(back) == value_id(value)
        if type(value) in (list, dict, tuple, set, frozenset, str, float, int):
            assert same_named(back, value)


def same_named(a: Any, b: Any) -> bool:
    """As `same`, into the classes of this test as well."""
    if isinstance(a, Plain | Tagged | Box) and type(a) is type(b):
        return same_named(vars(a), vars(b))
    if type(a) is type(b) and isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same_named, a, b))
    if type(a) is type(b) is dict:
        return list(map(value_id, a)) == list(map(value_id, b)) and all(map(same_named, a.values(), b.values()))
    return same(a, b)


def test_how_a_value_came_to_be_does_not_count(generated: list[Any]) -> None:
    for value in generated:
        wanted = value_id([value, value])
        assert value_id([value, copy.deepcopy(value)]) == wanted
        assert value_id([value, eval(source(value), names())]) == wanted
        assert value_id([pickle.loads(pickle.dumps(value)), value]) == wanted


def names() -> dict[str, Any]:
    space: dict[str, Any] = {}
    exec(PROGRAM.rpartition("for line")[0], space)
    return space


def test_values_that_differ_have_ids_that_differ(generated: list[Any]) -> None:
    seen: dict[bytes, Any] = {}
    for value in generated:
        other = seen.setdefault(value_id(value), value)
        assert same_named(other, value) or source(other) == source(value)


def test_strings_that_are_one_object_count_like_others() -> None:
    interned, made = sys.intern("abc"), "".join(["a", "bc"])
    assert value_id([interned, interned]) == value_id([interned, made])
    assert value_id({interned: 1}) == value_id({made: 1})
