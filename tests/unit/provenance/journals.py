"""Builds small stores by hand: executions, jobs and calls as an engine would record them, without an engine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from redun.encoding import ValueEncoder
from redun.records import ExecutionRecord, TaskRecord, encode_call
from redun.store.ids import object_id
from redun.store.journal import JobRecord, Segment, Status, Upstream, encode_segment
from redun.store.sources.base import Batch, RefUpdate, Source
from redun.store.sources.memory import MemorySource
from redun.value import Value

START_US = 1_700_000_000_000_000


class FakeFile(Value):
    """Stands for `redun.File`: the same type name pattern and state."""

    type_name = "redun.FakeFile"

    def __init__(self, path: str, stamp: str = "1") -> None:
        self.path = path
        self.stamp = stamp

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "stamp": self.stamp}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self.stamp = state["stamp"]

    def __repr__(self) -> str:
        return f"FakeFile({self.path})"


@dataclass
class FakeStore:
    """What `Provenance` asks of a store."""

    source: Source = field(default_factory=MemorySource)
    alive: set[str] = field(default_factory=set)

    def index_source(self) -> Source:
        return self.source

    def is_alive(self, execution: str) -> bool:
        return execution in self.alive


class Run:
    """One execution that is being recorded.

    Args:
        number: makes its UUID: 1 gives 00000001-..., so that prefixes are known.
    """

    def __init__(self, store: FakeStore, number: int, argv: tuple[str, ...] = ("redun", "run", "wf.py", "main")) -> None:
        self.source = store.source
        self.uuid = UUID(int=(number << 96) + 7)
        self.start_us = START_US + number * 60_000_000
        record = ExecutionRecord(self.uuid.bytes, list(argv), self.start_us, tags=[("project", "demo")])
        data = record.encode()
        self.execution = object_id(data)
        self.objects = {self.execution: data}
        self.head: bytes | None = None
        self.sequence = 0
        self.count = 0
        self.pending: dict[str, Any] = {}
        self._reset()
        self._encoder = ValueEncoder(self.objects.__setitem__)

    def _reset(self) -> None:
        self.jobs: list[JobRecord] = []
        self.upstreams: dict[int, list[Upstream]] = {}
        self.extra: list[tuple[str, Any]] = []
        self.sources: dict[bytes, bytes] = {}

    @property
    def id(self) -> str:
        return str(self.uuid)

    def task(self, name: str, source: str | None, version: str | None = None) -> bytes:
        data = TaskRecord(name, source if version is None else None, version).encode()
        task = object_id(data)
        self.objects[task] = data
        if version is not None and source is not None:
            self.sources[task] = self.ref(source)
        return task

    def ref(self, value: Any) -> bytes:
        return self._encoder.encode(value)

    def call(
        self,
        task: bytes,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        result: Any = None,
        children: tuple[bytes, ...] = (),
        failed: bool = False,
    ) -> bytes:
        refs = [self.ref(arg) for arg in args]
        named = [(name, self.ref(arg)) for name, arg in (kwargs or {}).items()]
        call, data = encode_call(task, refs, named, None, self.ref(result), children, (), failed)
        self.objects[call] = data
        return call

    def begin(self) -> int:
        """Return the number of the next job: parents are numbered before their children."""
        self.count += 1
        return self.count

    def job(
        self,
        task: bytes,
        call: bytes | None,
        parent: int = 0,
        status: Status = Status.DONE,
        number: int | None = None,
        upstreams: dict[int | str | None, tuple[bytes, ...]] | None = None,
        start: int | None = None,
    ) -> int:
        number = number or self.begin()
        at = self.start_us + (number if start is None else start) * 1000
        ended = status not in (Status.RUNNING, Status.PENDING)
        self.jobs.append(JobRecord(number, self.job_id(number), parent, task, at, 500 if ended else -1, status, call))
        if upstreams:
            self.upstreams[number] = [Upstream(slot, calls) for slot, calls in upstreams.items()]
        return number

    def job_id(self, number: int) -> bytes:
        return bytes([0xAB, *number.to_bytes(3, "big")]) + self.uuid.bytes[:4] + bytes(8)

    def job_uuid(self, number: int) -> str:
        return str(UUID(bytes=self.job_id(number)))

    def commit(self) -> None:
        segment = Segment(
            self.execution,
            self.sequence,
            self.head,
            jobs=self.jobs,
            upstreams=self.upstreams,
            sources=self.sources,
            extra=self.extra,
        )
        data = encode_segment(segment)
        new = object_id(data)
        self.objects[new] = data
        self.source.commit(Batch(dict(self.objects), {}, [RefUpdate(f"executions/{self.uuid}", self.head, new)]))
        self.head = new
        self.sequence += 1
        self.objects.clear()
        self._reset()

    def end(self, status: Status = Status.DONE) -> None:
        self.extra.append(("end", {"status": int(status), "time": self.start_us + 2_350_000}))
        self.commit()


COMPILE = "def compile(c_file):\n    return File(c_file.path)\n"
LINK = "def link(prog_path, o_files):\n    return File(prog_path)\n"
MAKE_PROG = "def make_prog(prog_path, c_files):\n    return link(prog_path, [compile(c) for c in c_files])\n"
MAKE = "def make(files=files):\n    return [make_prog(p, c) for p, c in files.items()]\n"


def build_compile(store: FakeStore, number: int = 1, stamp: str = "1") -> tuple[Run, dict[str, bytes]]:
    """Record the example that compiles two programs with a shared library.

    Returns:
        The run and its calls: `make`, `make_prog`, `make_prog2`, `link`, `link2`, `prog.o`, `prog2.o`, `lib.o`.
    """
    run = Run(store, number)
    make, make_prog = run.task("c.make", MAKE), run.task("c.make_prog", MAKE_PROG)
    link, compile_ = run.task("c.link", LINK), run.task("c.compile", COMPILE)
    files = {"prog": [FakeFile("prog.c"), FakeFile("lib.c", stamp)], "prog2": [FakeFile("prog2.c"), FakeFile("lib.c", stamp)]}
    calls: dict[str, bytes] = {}
    root = run.begin()
    progs = []
    for prog, sources in files.items():
        program = run.begin()
        objects = []
        for source in sources:
            name = source.path.replace(".c", ".o")
            known = name in calls
            made = FakeFile(name, stamp if name == "lib.o" else "1")
            calls[name] = run.call(compile_, (source,), result=made)
            run.job(compile_, calls[name], program, Status.CACHED if known else Status.DONE)
            objects.append(made)
        result = FakeFile(prog, stamp)
        suffix = "2" if prog == "prog2" else ""
        parts = tuple(calls[item.path] for item in objects)
        linked = calls["link" + suffix] = run.call(link, (prog, objects), result=result)
        run.job(link, linked, program, upstreams={1: parts})
        calls["make_prog" + suffix] = run.call(make_prog, (prog, sources), result=result, children=(*parts, linked))
        run.job(make_prog, calls["make_prog" + suffix], root, number=program, upstreams={None: (linked,)})
        progs.append(result)
    both = (calls["make_prog"], calls["make_prog2"])
    calls["make"] = run.call(make, kwargs={"files": files}, result=progs, children=both)
    run.job(make, calls["make"], 0, number=root, upstreams={None: both})
    run.end()
    return run, calls
