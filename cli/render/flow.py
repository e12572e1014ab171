"""Dataflow as text: each value under a name, what it came from behind `<--`.

result <-- <8c34026d> link(prog_path, o_files)
  prog_path = <ee510692> 'prog'
  o_files   = <2f42c616> [File(path=prog.o, hash=6a5c860f)]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from redun.cli.render.words import bare_name, clip, short
from redun.provenance import Hop, Provenance, Section, Step, Variable

MAX_SECTIONS = 60
MAX_HOPS = 24
_MAX_NAMES = 12
_MAX_COUNTED = 20_000


def flow_lines(provenance: Provenance, sections: Iterable[Section], max_sections: int = MAX_SECTIONS) -> Iterator[str]:
    """Yield the lines of a dataflow, a blank one after each section.

    Args:
        max_sections: of what comes after these, only the number is told.
    """
    count = left = 0
    for section in sections:
        if count and section.hops[0].step is Step.ORIGIN:
            # A literal argument: where it stands says as much.
            continue
        count += 1
        if count <= max_sections:
            yield from _section_lines(provenance, section)
            yield ""
            continue
        left = count - max_sections
        if left >= _MAX_COUNTED:
            break
    if left:
        more = f"more than {left:,}" if left >= _MAX_COUNTED else f"{left:,} more"
        yield f"... and {more} values upstream: 'redun log --detail' shows all"
        yield ""


def _section_lines(provenance: Provenance, section: Section) -> Iterator[str]:
    lead = section.name
    hops = section.hops
    hidden = len(hops) - MAX_HOPS
    if hidden > 1:
        hops = hops[: MAX_HOPS - 2]
    for hop in hops:
        yield f"{lead} <-- {_hop(hop)}"
        lead = " " * len(section.name)
    if hidden > 1:
        yield f"{lead} <-- ... {hidden:,} more steps"
        for hop in section.hops[-2:]:
            yield f"{lead} <-- {_hop(hop)}"
    yield from _variable_lines(provenance, section.variables)
    if section.omitted:
        yield f"  ... and {section.omitted:,} more"


def _hop(hop: Hop) -> str:
    if hop.step is Step.ORIGIN:
        return "origin"
    if hop.step is Step.DERIVES:
        return "derives from"
    names = list(hop.names[:_MAX_NAMES])
    if len(hop.names) > _MAX_NAMES:
        names.append("...")
    called = f"<{short(hop.call)}> {bare_name(hop.task_name)}({', '.join(names)})"
    return f"argument of {called}" if hop.step is Step.ARGUMENT else called


def _variable_lines(provenance: Provenance, variables: Sequence[Variable]) -> Iterator[str]:
    width = max([len(variable.name) for variable in variables], default=0)
    for variable in variables:
        if variable.value is None:
            yield f"  {variable.name:<{width}} = (not in the store any more)"
        else:
            yield f"  {variable.name:<{width}} = <{short(variable.value.id)}> {clip(provenance.text(variable.value))}"
