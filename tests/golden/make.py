"""The golden bytes of format version 1: what every later release of that version must read and write alike.

`python tests/golden/make.py` prints the present state as JSON; it may only ever be appended to `objects.json`. A difference in
`tests/golden/test_golden.py` is a change of format: it needs a new format version, not a new golden file.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from collections import OrderedDict, namedtuple
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from redun import Handle, task
from redun.encoding import ValueEncoder
from redun.expression import QuotedExpression, ValueExpression
from redun.records import ExecutionRecord, TaskRecord, encode_call
from redun.store.journal import HandleEvent, JobRecord, OutputFact, Segment, Status, TagFact, Upstream, encode_segment
from redun.tag_records import TagRecord
from redun.value import Value

Point = namedtuple("Point", "x y")


@dataclasses.dataclass
class Box:
    item: Any
    label: str = "b"


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Plain:
    def __init__(self, a: int) -> None:
        self.a = a


class Tagged(Value):
    type_name = "golden.Tagged"

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def __getstate__(self) -> dict[str, Any]:
        return {"tag": self.tag}


class Conn(Handle):
    type_name = "golden.Conn"

    def __init__(self, name: str, url: str, port: int = 1, namespace: str | None = None) -> None:
        pass


@task(namespace="golden", version="1")
def inc(x: int) -> int:
    return x + 1


def values() -> dict[str, Any]:
    """Name -> value, of every kind that has an encoding of its own."""
    one = inc(1)
    return {
        "none": None,
        "true": True,
        "int": 42,
        "negative": -1,
        "bigint": 2**80,
        "float": 1.5,
        "nan": float("nan"),
        "minus zero": -0.0,
        "text": "Ångström",
        "surrogate": "\ud800",
        "bytes": b"abc",
        "bytearray": bytearray(b"abc"),
        "list": [1, "a", None, [2.5]],
        "list of bytearray": [bytearray(b"x")],
        "tuple": (1, (2, 3)),
        "empty tuple": (),
        "dict": {"b": 1, "a": (2,)},
        "set": {3, "a", (1, 2)},
        "frozenset": frozenset([1, 2]),
        "complex": 1 + 2j,
        "date": dt.date(2026, 11, 21),
        "time": dt.time(1, 2, 3, 4),
        "datetime": dt.datetime(2026, 11, 21, 7, 30, 0, 5),
        "datetime utc": dt.datetime(2026, 11, 21, tzinfo=dt.timezone.utc),
        "timedelta": dt.timedelta(1, 2, 3),
        "path": PurePosixPath("a/b"),
        "decimal": Decimal("1.10"),
        "fraction": Fraction(1, 3),
        "uuid": UUID(int=7),
        "range": range(1, 9, 2),
        "ellipsis": ...,
        "slice": slice(1, None, 2),
        "namedtuple": Point(1, "y"),
        "dataclass": Box([1]),
        "enum": Color.BLUE,
        "class": Plain,
        "object": Plain(1),
        "ordered dict": OrderedDict(a=1),
        "registered": Tagged("t"),
        "handle": Conn("c", "u", port=2, namespace="golden"),
        "fork of a handle": Conn("c", "u", namespace="golden").fork("k"),
        "handle after a call": Conn("c", "u").apply_call("ab" * 20),
        "builtin": len,
        "long text": "x" * 100,
        "deep": _deep(2000),
        "call": one,
        "calls": [inc(1), inc(inc(1)), {"k": one}],
        "operators": (one + 2)[0].name,
        "options": inc.options(memory=4)(x=3),
        "value expression": ValueExpression([1]),
        "quoted": QuotedExpression([one]),
        "large argument": inc("y" * 5000),
    }


def _deep(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


def objects() -> dict[str, str]:
    """Name -> hex of the object's bytes, or of its id where it is long."""
    made = {f"value {name}": _short(ValueEncoder().object(value)) for name, value in values().items()}
    task_record = TaskRecord("golden.inc", "def inc(x): ...", None, ("aa",), None)
    one, two = bytes(range(20)), bytes(range(1, 21))
    inline = ValueEncoder().encode(1)
    made["task"] = task_record.encode().hex()
    made["task with version"] = TaskRecord("golden.inc", None, "1").encode().hex()
    made["call"] = encode_call(one, [inline, b"\x00" + two], {"k": inline}.items(), None, inline)[1].hex()
    made["call with children"] = encode_call(one, [], (), b"\x00" + two, inline, [two, one, two], [two, one], True)[1].hex()
    execution = ExecutionRecord(bytes(16), ["redun", "run"], 1_700_000_000_000_000, "h", "u", 7, "/w", "0", [("k", [1])])
    made["execution"] = execution.encode().hex()
    jobs = [
        JobRecord(1, bytes(16), 0, one, 1_700_000_000_000_000, -1, Status.RUNNING, None),
        JobRecord(5, bytes([1] * 16), 1, two, 1_700_000_000_000_100, 25, Status.DONE, two),
    ]
    segment = Segment(
        execution=one,
        sequence=3,
        parent=two,
        jobs=jobs,
        memo=[(one, two)],
        reductions=[(two, inline)],
        upstreams={5: [Upstream(0, (two,)), Upstream(None, (one, two))]},
        sources={one: inline},
        extra=[("end", {"status": 2, "time": 9})],
    )
    made["segment"] = encode_segment(segment).hex()
    events = [HandleEvent(one, ()), HandleEvent(two, (one,)), HandleEvent(one, None)]
    made["segment with handles"] = encode_segment(Segment(one, 1, two, handles=events)).hex()
    facts = [
        TagFact("job", (bytes(16), bytes([1] * 16)), (("k", [1]), ("k", None))),
        TagFact("value", (inline, b"\x00" + two), (("a", 1),)),
    ]
    made["segment with tags"] = encode_segment(Segment(one, 1, two, tags=facts)).hex()
    outputs = [OutputFact(5, 1, inline), OutputFact(5, 2, b"\x00" + two)]
    made["segment with outputs"] = encode_segment(Segment(one, 1, two, outputs=outputs)).hex()
    made["tag"] = TagRecord("value", two, "k", {"a": [1, None]}, (one, two), 1_700_000_000_000_000, "me").encode().hex()
    made["tag of a run"] = TagRecord("job", bytes(16), "k", True).encode().hex()
    made["tag removed"] = TagRecord("execution", bytes(16), None, None, (one,), 9, "me").encode().hex()
    made["first segment"] = encode_segment(Segment(one, 0, None)).hex()
    return made


def _short(data: bytes) -> str:
    from redun.store.ids import object_id

    return data.hex() if len(data) <= 200 else f"id {object_id(data).hex()}"


if __name__ == "__main__":
    # Classes must carry the name under which the tests import them, not __main__.
    from tests.golden.make import objects as named

    print(json.dumps(named(), indent=1))
