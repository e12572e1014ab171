"""Where a value came from, step by step back to its origins.

A value is followed through four kinds of steps:

* `CALL`: it is the result of a call; the call's arguments are followed next;
* `ARGUMENT`: it is an argument that the parent job got itself as (part of) an argument, and passed on;
* `DERIVES`: it was made of several calls' results, by operators or in a list; each of them is followed next;
* `ORIGIN`: nobody called anything for it: it is written in the source, or came from the command line.

A parent's result that is its child's result is followed into the child at once, so what is shown is the job whose function
produced it. What an argument was derived from is recorded per job; a call is looked up in the execution at hand, and in
others only if that one replayed it without its children.

Nothing recurses, and each call's result and each argument is explained once, so cost grows with the distinct calls upstream and
flows that meet again, or go in circles (equal calls of different jobs are one call), end.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple, Protocol

from redun.provenance.history import History
from redun.provenance.model import Value
from redun.provenance.objects import ObjectReader
from redun.provenance.values import ValueReader
from redun.records import CallRecord
from redun.store.ids import ref_id

MAX_DERIVED = 20
_MAX_COMPARED = 2000

_SCRIPT, _PREPARE, _POSTPROCESS = "redun.script", "redun.prepare_script", "redun.postprocess_script"
_INPUTS = 1

Slot = int | str | None


class Step(Enum):
    """How a value got to where it is."""

    CALL = "call"
    ARGUMENT = "argument"
    DERIVES = "derives"
    ORIGIN = "origin"


class Hop(NamedTuple):
    """One step back.

    Attributes:
        call: 40 hex digits; empty for DERIVES and ORIGIN.
        task_name: of that call.
        names: what the call's arguments are called here.
    """

    step: Step
    call: str = ""
    task_name: str = ""
    names: tuple[str, ...] = ()


class Variable(NamedTuple):
    """A value with the name that it goes by in a dataflow; value is None if it is not known any more."""

    name: str
    value: Value | None


class Section(NamedTuple):
    """The explanation of one variable.

    Attributes:
        variables: those that the last hop introduces (arguments of the call, parts that it derives from).
        omitted: number of further parts that are not listed.
    """

    name: str
    hops: tuple[Hop, ...]
    variables: tuple[Variable, ...] = ()
    omitted: int = 0


class Site(NamedTuple):
    """A call, and the job at which to look for what it was derived from.

    Attributes:
        history: the execution of that job, None if no job of the call is known.
    """

    call: bytes
    history: History | None = None
    number: int = 0


class Sites(Protocol):
    """What dataflow needs to know of the store around it."""

    def site(self, call: bytes, history: History | None, parent: int = 0) -> Site:
        """Return where to look for a call, in `history` if it is there, below the job of number `parent` if it is there."""

    def other_sites(self, site: Site) -> Iterator[Site]:
        """Yield further jobs of the same call, the most telling ones first."""

    def parents(self, call: bytes) -> Iterator[Site]:
        """Yield the calls that made this one, in any execution."""


_Point = tuple[Site, Slot]


class _Below(NamedTuple):
    """Where calls were made: the execution, and the number of the job that made them (0 if unknown)."""

    history: History | None
    parent: int


class Dataflow:
    """Walks upstream from one value; see the module text. For one use.

    Args:
        most: of the calls that one value was made of, only as many are followed; a section tells how many more there are.
    """

    def __init__(self, objects: ObjectReader, values: ValueReader, sites: Sites, most: int = MAX_DERIVED) -> None:
        self._objects = objects
        self._values = values
        self._sites = sites
        self._most = most
        self._names: dict[tuple[bytes, Slot], str] = {}
        self._counts: dict[str, int] = {}

    def sections(self, site: Site, slot: Slot = None, name: str = "result", value: Value | None = None) -> Iterator[Section]:
        """Yield the explanation of a value, then of what it was made of, depth first.

        Args:
            site: the call that has it.
            slot: None for the call's result, else the argument.
            value: what to follow if it is not the whole result or argument but inside it.
        """
        self._counts[name] = 1
        self._names[(site.call, slot)] = name
        stack: list[tuple[str, _Point, Value | None]] = [(name, (site, slot), value)]
        while stack:
            section, found = self._explain(*stack.pop())
            yield section
            stack.extend(reversed(found))

    def _explain(self, name: str, point: _Point, value: Value | None) -> tuple[Section, list[tuple[str, _Point, Value | None]]]:
        hops: list[Hop] = []
        seen: set[tuple[bytes, int, Slot]] = set()
        tracked = value.ref if value is not None else self._ref(point)
        while True:
            site, slot = point
            at = (site.call, site.number, slot)
            record = self._objects.call_record(site.call)
            if record is None or at in seen:
                hops.append(Hop(Step.ORIGIN))
                return Section(name, tuple(hops)), []
            seen.add(at)
            parts, below = self._derived_from(site, slot, record)
            if parts:
                onward = self._follow(parts, below, point, tracked)
                if onward is None:
                    hops.append(Hop(Step.DERIVES))
                    return self._parts(name, hops, parts, below)
                point = onward
            elif slot is None:
                script = self._script_around(site, record)
                if script is not None:
                    return self._script(name, hops, *script)
                return self._arguments(name, hops, site, record)
            elif (prepared := self._prepared(site)) is not None:
                point = prepared, slot
            else:
                passed = self._passed_on(site, tracked)
                if passed is None:
                    hops.append(Hop(Step.ORIGIN))
                    return Section(name, tuple(hops)), []
                hop, point = passed
                hops.append(hop)

    def _ref(self, point: _Point) -> bytes | None:
        """Return the ref of a call's result or argument."""
        site, slot = point
        record = self._objects.call_record(site.call)
        if record is None:
            return None
        if slot is None:
            return record.result
        if isinstance(slot, int):
            return record.args[slot] if slot < len(record.args) else None
        return dict(record.kwargs).get(slot)

    def _derived_from(self, site: Site, slot: Slot, record: CallRecord) -> tuple[tuple[bytes, ...], _Below]:
        """Return the calls whose results an argument or a result was made of, and where they were made."""
        found = _upstream(site, slot)
        if slot is None:
            below = _Below(site.history, site.number)
        else:
            job = None if site.history is None else site.history.jobs.get(site.number)
            below = _Below(site.history, 0 if job is None else job.parent)
        if not found and slot is None and record.failed:
            # An error comes up through the parents of the call that raised it.
            return self._failed_children(record), below
        if not found and slot is None and record.children:
            # A replay may have taken the result without evaluating its parts again; a job that evaluated them knows more.
            for other in self._sites.other_sites(site):
                found = _upstream(other, None)
                if found:
                    return found, _Below(other.history, other.number)
        return found, below

    def _failed_children(self, record: CallRecord) -> tuple[bytes, ...]:
        raised = ref_id(record.result)
        for call in record.children[:_MAX_COMPARED]:
            child = self._objects.call_record(call)
            if child is not None and child.failed and ref_id(child.result) == raised:
                return (call,)
        return ()

    def _follow(self, parts: tuple[bytes, ...], below: _Below, point: _Point, tracked: bytes | None) -> _Point | None:
        """Return where a value goes on unchanged, None if it was made of its parts."""
        if tracked is None:
            return None
        own = self._ref(point)
        is_whole = own is not None and ref_id(own) == ref_id(tracked)
        if len(parts) == 1 or not is_whole:
            wanted = ref_id(tracked)
            for call in parts[:_MAX_COMPARED]:
                record = self._objects.call_record(call)
                if record is not None and self._values.holds(record.result, wanted):
                    if is_whole and ref_id(record.result) != wanted:
                        continue
                    return self._sites.site(call, *below), None
        return None

    def _passed_on(self, site: Site, tracked: bytes | None) -> tuple[Hop, _Point] | None:
        """Find the parent's argument that holds a value."""
        if tracked is None:
            return None
        wanted = ref_id(tracked)
        for parent in self._parents(site):
            record = self._objects.call_record(parent.call)
            if record is None:
                continue
            arguments = self._objects.arguments(record)
            for argument in arguments:
                if self._values.holds(argument.value.ref, wanted):
                    names = tuple([other.name for other in arguments])
                    hop = Hop(Step.ARGUMENT, parent.call.hex(), self._objects.task_name(record.task), names)
                    return hop, (parent, argument.slot)
        return None

    def _parents(self, site: Site) -> Iterator[Site]:
        history = site.history
        if history is None:
            yield from self._sites.parents(site.call)
            return
        job = history.jobs.get(site.number)
        parent = history.jobs.get(job.parent) if job is not None else None
        if parent is not None and parent.call is not None:
            yield Site(parent.call, history, parent.number)

    def _parts(
        self, name: str, hops: list[Hop], parts: tuple[bytes, ...], below: _Below
    ) -> tuple[Section, list[tuple[str, _Point, Value | None]]]:
        variables = []
        found: list[tuple[str, _Point, Value | None]] = []
        distinct = list(dict.fromkeys(parts))
        for call in distinct[: self._most]:
            record = self._objects.call_record(call)
            task_name = "?" if record is None else self._objects.task_name(record.task)
            part, is_new = self._name((call, None), f"{task_name.rpartition('.')[2]}_result")
            variables.append(Variable(part, None if record is None else Value(record.result)))
            if is_new:
                found.append((part, (self._sites.site(call, *below), None), None))
        return Section(name, tuple(hops), tuple(variables), len(distinct) - len(variables)), found

    def _arguments(
        self, name: str, hops: list[Hop], site: Site, record: CallRecord
    ) -> tuple[Section, list[tuple[str, _Point, Value | None]]]:
        variables = []
        found: list[tuple[str, _Point, Value | None]] = []
        for argument in self._objects.arguments(record):
            variable, is_new = self._name((site.call, argument.slot), argument.name)
            variables.append(Variable(variable, argument.value))
            if is_new:
                found.append((variable, (site, argument.slot), None))
        names = tuple([variable.name for variable in variables])
        hops.append(Hop(Step.CALL, site.call.hex(), self._objects.task_name(record.task), names))
        if not variables:
            hops.append(Hop(Step.ORIGIN))
        return Section(name, tuple(hops), tuple(variables)), found

    # A script is four jobs (`redun.scripting`); what a reader wants to know is that its outputs come from its inputs.

    def _script_around(self, site: Site, record: CallRecord) -> tuple[Site, CallRecord] | None:
        """Return the call of `redun.script` whose outputs a call collects, None if it does something else."""
        if self._objects.task_name(record.task) != _POSTPROCESS:
            return None
        for parent in self._parents(site):
            around = self._objects.call_record(parent.call)
            if around is not None and self._objects.task_name(around.task) == _SCRIPT and len(around.args) > _INPUTS:
                return parent, around
        return None

    def _script(
        self, name: str, hops: list[Hop], site: Site, record: CallRecord
    ) -> tuple[Section, list[tuple[str, _Point, Value | None]]]:
        inside = [data for _, data in self._values.inside(record.args[_INPUTS])]
        parts = list(dict.fromkeys(inside)) or [record.args[_INPUTS]]
        variables = []
        found: list[tuple[str, _Point, Value | None]] = []
        for place, (base, ref) in enumerate([("command", record.args[0]), *[("input", ref) for ref in parts[:MAX_DERIVED]]]):
            variable, is_new = self._name((site.call, f"script {place}"), base)
            value = Value(ref)
            variables.append(Variable(variable, value))
            if is_new:
                found.append((variable, (site, _INPUTS if place else 0), value))
        names = tuple([variable.name for variable in variables])
        hops.append(Hop(Step.CALL, site.call.hex(), _SCRIPT, names))
        return Section(name, tuple(hops), tuple(variables), len(parts) - len(variables) + 1), found

    def _prepared(self, site: Site) -> Site | None:
        """Return the job that made a call of `redun.script` once its arguments were known: it has these at the same places."""
        record = self._objects.call_record(site.call)
        if record is None or self._objects.task_name(record.task) != _SCRIPT:
            return None
        for parent in self._parents(site):
            around = self._objects.call_record(parent.call)
            if around is not None and self._objects.task_name(around.task) == _PREPARE:
                return parent
        return None

    def _name(self, key: tuple[bytes, Slot], base: str) -> tuple[str, bool]:
        """Return the name of a call's result or argument, and whether it is new."""
        known = self._names.get(key)
        if known is not None:
            return known, False
        count = self._counts.get(base, 0) + 1
        name = base if count == 1 else f"{base}_{count}"
        while count > 1 and name in self._counts:
            # A parameter may really be called x_2.
            count += 1
            name = f"{base}_{count}"
        self._counts[base] = count
        self._counts.setdefault(name, 1)
        self._names[key] = name
        return name, True


def _upstream(site: Site, slot: Slot) -> tuple[bytes, ...]:
    if site.history is None:
        return ()
    return site.history.upstreams.get(site.number, {}).get(slot, ())
