"""Values of every kind that people pass around: one of each, with the classes they need. Imported by name in other processes."""

from __future__ import annotations

import abc
import array
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import operator
import os.path
import pathlib
import random
import re
import string
import time
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from redun.value import Value

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    BLUE = "blue"


class Number(enum.IntEnum):
    ONE = 1


class Word(str, enum.Enum):
    A = "a"


class Pair(enum.Enum):
    P = (1, {"a": 2})


class Right(enum.Flag):
    READ = 1
    WRITE = 2
    BOTH = READ | WRITE
    RUN = 4


class Bits(enum.IntFlag):
    A = 1
    B = 2


class Outer:
    class Inner(enum.Flag):
        P = 1
        Q = 2

    class Deep:
        def __init__(self, x: int) -> None:
            self.x = x

    @staticmethod
    def stat() -> int:
        return 1

    @classmethod
    def make(cls) -> Outer:
        return cls()


Named = collections.namedtuple("Named", "a b", defaults=[2])


class Typed(NamedTuple):
    x: Any
    y: str = "s"


class NamedWithMore(Named):
    pass


@dataclasses.dataclass
class Data:
    a: Any
    b: list[Any] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: Any


@dataclasses.dataclass(slots=True)
class Slotted:
    a: Any
    b: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenSlotted:
    a: Any


@dataclasses.dataclass
class Computed:
    a: int
    start: dataclasses.InitVar[int] = 3
    c: int = dataclasses.field(init=False)
    shared: ClassVar[int] = 9

    def __post_init__(self, start: int) -> None:
        self.c = self.a + start


@dataclasses.dataclass
class WithMore:
    a: int

    def __post_init__(self) -> None:
        self.extra = self.a * 2


@dataclasses.dataclass(order=True, unsafe_hash=True)
class DataOf(Generic[T]):
    v: T


@dataclasses.dataclass
class DataList(list):  # type: ignore[type-arg]
    a: int = 1


@dataclasses.dataclass
class DataDict(dict):  # type: ignore[type-arg]
    a: int = 1


@dataclasses.dataclass
class DataError(Exception):
    a: int


@dataclasses.dataclass
class Dropping:
    """Says itself what is kept of it; a lock could be no part of a value."""

    a: int
    lock: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"a": self.a}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.a = state["a"]
        self.lock = None


class Plain:
    def __init__(self, a: Any) -> None:
        self.a = a

    def method(self) -> Any:
        return self.a


class Hashed(Plain):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hashed) and self.a == other.a

    def __hash__(self) -> int:
        return hash(self.a)


class Slots:
    __slots__ = ("a", "b", "unset")

    def __init__(self, a: Any, b: Any) -> None:
        self.a = a
        self.b = b


class SlotsAndDict(Slots):
    def __init__(self, a: Any, b: Any) -> None:
        super().__init__(a, b)
        self.d = 4


class OwnState:
    def __init__(self, a: Any) -> None:
        self.a = a
        self.cache = object()

    def __getstate__(self) -> Any:
        return (self.a,)

    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]


class NewArguments:
    a: Any

    def __new__(cls, a: Any) -> NewArguments:
        made = super().__new__(cls)
        made.a = a
        return made

    def __getnewargs__(self) -> tuple[Any]:
        return (self.a,)


class NewKeywords:
    a: Any

    def __new__(cls, *, a: Any) -> NewKeywords:
        made = super().__new__(cls)
        made.a = a
        return made

    def __getnewargs_ex__(self) -> tuple[tuple[()], dict[str, Any]]:
        return (), {"a": self.a}


class Reducing:
    def __init__(self, a: Any) -> None:
        self.a = a

    def __reduce__(self) -> tuple[Any, ...]:
        return Reducing, (self.a,)


class Single:
    def __reduce__(self) -> str:
        return "SINGLE"


SINGLE = Single()


class Meta(type):
    pass


class WithMeta(metaclass=Meta):
    def __init__(self, a: Any) -> None:
        self.a = a


class Abstract(abc.ABC):
    @abc.abstractmethod
    def f(self) -> Any: ...


class Concrete(Abstract):
    def __init__(self, a: Any) -> None:
        self.a = a

    def f(self) -> Any:
        return self.a


class Holder(Generic[T]):
    def __init__(self, v: T) -> None:
        self.v = v


class Hiding:
    """Answers for every attribute."""

    def __init__(self, a: Any) -> None:
        self.__dict__["a"] = a

    def __getattr__(self, name: str) -> int:
        if name.startswith("__"):
            raise AttributeError(name)
        return 5


class MyInt(int):
    pass


class MyText(str):
    pass


class MyFloat(float):
    pass


class MyBytes(bytes):
    pass


class MyList(list):  # type: ignore[type-arg]
    pass


class MyDict(dict):  # type: ignore[type-arg]
    pass


class MySet(set):  # type: ignore[type-arg]
    pass


class MyFrozenSet(frozenset):  # type: ignore[type-arg]
    pass


class MyTuple(tuple):  # type: ignore[type-arg]
    pass


class MyDate(dt.date):
    pass


class MyTime(dt.datetime):
    pass


class MyDecimal(decimal.Decimal):
    pass


class TwoArguments(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(f"{a}{b}")
        self.a = a
        self.b = b


class KeywordError(Exception):
    def __init__(self, *, code: int) -> None:
        super().__init__("kw")
        self.code = code


class Registered(Value):
    type_name = "kinds.Registered"

    def __init__(self, a: Any) -> None:
        self.a = a


def function(x: Any) -> Any:
    return x


def with_attributes(value: Any, **attributes: Any) -> Any:
    for name, item in attributes.items():
        setattr(value, name, item)
    return value


def filled(value: Any, items: Any) -> Any:
    (value.update if isinstance(value, dict) else value.extend)(items)
    return value


LETTERS = {"q", "w", "e", "r", "t", ("z", 1)}
ZONE = zoneinfo.ZoneInfo("Europe/Berlin")

MAKERS: dict[str, Callable[[], Any]] = {
    # Enums.
    "enum": lambda: Color.RED,
    "enum of text": lambda: Color.BLUE,
    "int enum": lambda: Number.ONE,
    "text enum": lambda: Word.A,
    "enum of tuples": lambda: Pair.P,
    "flag": lambda: Right.READ,
    "named flags": lambda: Right.READ | Right.WRITE,
    "flags": lambda: Right.READ | Right.RUN,
    "no flag": lambda: Right(0),
    "other flags": lambda: ~Right.READ,
    "int flags": lambda: Bits.A | Bits.B,
    "nested flags": lambda: Outer.Inner.P | Outer.Inner.Q,
    "flags of the library": lambda: re.IGNORECASE | re.MULTILINE,
    "set of enums": lambda: {Word.A, Color.RED, Number.ONE},
    # Times and paths.
    "time naive": lambda: dt.datetime(2020, 1, 2, 3, 4, 5, 6),
    "time utc": lambda: dt.datetime(2020, 1, 2, tzinfo=dt.timezone.utc),
    "time with offset": lambda: dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30))),
    "time with named offset": lambda: dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1), "XX")),
    "time in a zone": lambda: dt.datetime(2020, 10, 25, 2, 30, tzinfo=ZONE, fold=1),
    "time of day": lambda: dt.time(1, 2, tzinfo=dt.timezone.utc, fold=1),
    "zone": lambda: ZONE,
    "span": lambda: dt.timedelta(-1, 5, 7),
    "first date": lambda: dt.date(1, 1, 1),
    "last time": lambda: dt.datetime.max,
    "struct_time": lambda: time.gmtime(0),
    "path": lambda: pathlib.Path("a/b"),
    "windows path": lambda: pathlib.PureWindowsPath("c:\\x"),
    # Functions and classes.
    "function": lambda: function,
    "builtin": lambda: len,
    "function of the library": lambda: os.path.join,
    "descriptor": lambda: str.upper,
    "static method": lambda: Outer.stat,
    "class method": lambda: Outer.make,
    "class": lambda: Plain,
    "nested class": lambda: Outer.Inner,
    "class of None": lambda: type(None),
    "class of functions": lambda: types.FunctionType,
    "list[int]": lambda: list[int],
    "typing.List": lambda: list[dict[str, int]],
    "union": lambda: int | None,
    "Any": lambda: Any,
    "type variable": lambda: T,
    "partial": lambda: functools.partial(function, x=1),
    "itemgetter": lambda: operator.itemgetter(1, 2),
    "attrgetter": lambda: operator.attrgetter("a.b"),
    # Tuples with names and dataclasses.
    "namedtuple": lambda: Named(1),
    "NamedTuple": lambda: Typed({1, "a"}),
    "namedtuple with more": lambda: with_attributes(NamedWithMore(1, 2), more=3),
    "dataclass": lambda: Data(Frozen(Slotted(1)), [DataOf(2)]),
    "frozen dataclass": lambda: Frozen(1),
    "dataclass with slots": lambda: Slotted({1, "a"}),
    "frozen dataclass with slots": lambda: FrozenSlotted((1,)),
    "dataclass with computed fields": lambda: Computed(1),
    "dataclass with more": lambda: WithMore(2),
    "generic dataclass": lambda: DataOf[int](3),
    "dataclass that is a list": lambda: filled(DataList(5), [1, 2]),
    "dataclass that is an empty list": lambda: DataList(5),
    "dataclass that is a dict": lambda: filled(DataDict(5), {"q": 1}),
    "dataclass that is an error": lambda: DataError(3),
    "dataclass with a state of its own": lambda: Dropping(1),
    # Objects.
    "object": lambda: Plain(1),
    "object with a set": lambda: Plain(LETTERS),
    "objects in a set": lambda: {Hashed("a"), Hashed("b"), Hashed("c")},
    "object as a key": lambda: {Hashed("a"): 1},
    "deep class": lambda: Outer.Deep(3),
    "slots": lambda: Slots(1, LETTERS),
    "slots and dict": lambda: SlotsAndDict(1, 2),
    "state": lambda: OwnState([1]),
    "new arguments": lambda: NewArguments(5),
    "new keywords": lambda: NewKeywords(a=4),
    "reduce": lambda: Reducing(6),
    "reduce to a name": lambda: SINGLE,
    "metaclass": lambda: WithMeta(1),
    "abstract": lambda: Concrete(1),
    "generic": lambda: Holder[int](1),
    "hiding": lambda: Hiding(1),
    "registered": lambda: Registered(LETTERS),
    "namespace": lambda: types.SimpleNamespace(a=1, b=LETTERS),
    "shared": lambda: [Plain(1)] * 2,
    # Subclasses of plain types.
    "my int": lambda: MyInt(3),
    "my text": lambda: MyText("s"),
    "my float": lambda: MyFloat(1.5),
    "my bytes": lambda: MyBytes(b"q"),
    "my list": lambda: with_attributes(MyList([1, 2]), note=LETTERS),
    "my dict": lambda: MyDict(b=1, a=2),
    "my set": lambda: MySet(LETTERS),
    "my frozenset": lambda: MyFrozenSet(LETTERS),
    "my set with more": lambda: with_attributes(MySet(LETTERS), note=1),
    "my tuple": lambda: MyTuple((1, 2)),
    "my date": lambda: MyDate(2020, 1, 1),
    "my time": lambda: MyTime(2020, 1, 1),
    "my decimal": lambda: MyDecimal("1.5"),
    # Numbers, bytes, containers of the library.
    "decimal": lambda: decimal.Decimal("1.50"),
    "infinite decimal": lambda: decimal.Decimal("-Infinity"),
    "fraction": lambda: fractions.Fraction(-3, 4),
    "range": lambda: range(10, 0, -3),
    "long range": lambda: range(10**30, 10**31),
    "long ints": lambda: [2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**100],
    "slice": lambda: slice(1, None),
    "NotImplemented": lambda: NotImplemented,
    "bytearray": lambda: bytearray(b"x"),
    "array": lambda: array.array("d", [1.5, 2]),
    "long array": lambda: array.array("q", range(10_000)),
    "deque": lambda: collections.deque([1, {2, "a"}], maxlen=5),
    "ordered dict": lambda: collections.OrderedDict(b=1, a=2),
    "default dict": lambda: filled(collections.defaultdict(list), {"a": [1]}),
    "counter": lambda: collections.Counter("abca"),
    "chain map": lambda: collections.ChainMap({"a": 1}, {"b": 2}),
    "user dict": lambda: collections.UserDict(a=1),
    "user list": lambda: collections.UserList([1]),
    "pattern": lambda: re.compile("a(b)?", re.IGNORECASE),
    "pattern of bytes": lambda: re.compile(b"x"),
    "uuid": lambda: uuid.UUID(int=5),
    "address": lambda: ipaddress.ip_address("1.2.3.4"),
    "network": lambda: ipaddress.ip_network("10.0.0.0/8"),
    "template": lambda: string.Template("$x"),
    "bytes in memory": lambda: io.BytesIO(b"abc"),
    "random numbers": lambda: random.Random(3),
    "mixed set": lambda: {1, "a", (2, 3), None, 1.5, b"x", frozenset(LETTERS)},
    "mixed keys": lambda: {1: 1, "1": 2, (1,): 3, None: 4, b"1": 5, 1.5: 6},
    # Errors.
    "error": lambda: ValueError("x", 1),
    "error with a note": lambda: with_attributes(ValueError("q"), note=LETTERS),
    "error of two arguments": lambda: TwoArguments(1, 2),
    "error of keywords": lambda: KeywordError(code=3),
    "file not found": lambda: FileNotFoundError(2, "no", "f"),
    "unicode error": lambda: UnicodeDecodeError("utf8", b"x", 0, 1, "r"),
    "exit": lambda: SystemExit(3),
}

try:
    import attrs
except ImportError:
    pass
else:

    @attrs.define
    class Defined:
        a: Any
        _hidden: int = 3
        c: int = attrs.field(init=False, default=5)

    @attrs.frozen
    class DefinedFrozen:
        a: Any

    MAKERS["attrs"] = lambda: Defined(LETTERS)
    MAKERS["attrs, frozen"] = lambda: DefinedFrozen(1)

try:
    import pydantic
except ImportError:
    pass
else:

    class Model(pydantic.BaseModel):
        a: int
        b: dict[str, set[str]] = {}
        _own: int = pydantic.PrivateAttr(default=7)

    class ModelOf(pydantic.BaseModel, Generic[T]):
        v: T

    class Open(pydantic.BaseModel, extra="allow"):
        a: int

    class Root(pydantic.RootModel[list[int]]):
        pass

    @pydantic.dataclasses.dataclass
    class ModelData:
        a: int

    MAKERS["pydantic"] = lambda: Model(a=1, b={"q": {"x", "y", "z"}})
    MAKERS["pydantic, generic"] = lambda: ModelOf[int](v=1)
    MAKERS["pydantic, open"] = lambda: Open(a=1, zz=2)
    MAKERS["pydantic, root"] = lambda: Root([1])
    MAKERS["pydantic dataclass"] = lambda: ModelData(1)


def essence(value: Any) -> Any:
    """Return what two equal values of a kind have in common, for those that cannot be compared themselves."""
    if isinstance(value, BaseException):
        kept = {name: getattr(value, name) for name in ("filename", "reason", "start", "code") if hasattr(value, name)}
        return value.args, kept, vars(value)
    if isinstance(value, random.Random):
        return value.getstate()
    if isinstance(value, io.BytesIO):
        return value.getvalue()
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, operator.itemgetter | operator.attrgetter):
        return repr(value)
    if isinstance(value, Slots):
        return {name: getattr(value, name) for name in ("a", "b", "d") if hasattr(value, name)}
    if isinstance(value, OwnState):
        return value.a
    if type(value).__eq__ is object.__eq__ and hasattr(value, "__dict__") and not isinstance(value, type | enum.Enum):
        return vars(value)
    if isinstance(value, list | tuple | set) and hasattr(value, "__dict__"):
        return [len(value), *value] if not isinstance(value, set) else set(value), vars(value)
    if type(value) is list:
        return [essence(item) if isinstance(item, Plain) else item for item in value]
    return value
