"""What of a store travels, and what comes along: refs of executions and tags, tags of what they lead to, rows of the memo.

Executions and tags are shared, pins are local policy; but what was asked for by its own id (a value, a call, a task) is named by a pin
on the other side, or nothing would keep it there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.store.journal import chain
from redun.store.reach import reachable
from redun.store.remote.heads import Relation, relation
from redun.store.sources.base import RefUpdate, Source

if TYPE_CHECKING:
    from redun.store.repository import Store

UNTRUSTED = "untrusted"
"""Table: refs of executions that came from signers whom nobody here trusts -> name of the repo; empty: they are trusted by now."""

EXECUTIONS, TAGS, PINS = "executions/", "tags/", "pins/"


@dataclass
class Selection:
    """What was asked for by id.

    Attributes:
        heads: refs and what they name: chains of executions, and pins of other things.
        executions: UUIDs of the executions among them.
    """

    heads: dict[str, bytes] = field(default_factory=dict)
    executions: set[str] = field(default_factory=set)


def doubtful_refs(source: Source) -> set[str]:
    """Return the refs of executions that came from signers whom nobody here trusts.

    What they say of results is used by no run here, and handed on to nobody: whoever trusts us would believe it.
    """
    return {key.decode() for key, row in source.table(UNTRUSTED).scan() if row}


def check_vouched(source: Source, heads: Iterable[str]) -> None:
    """Refuse to hand on what strangers said.

    Raises:
        RedunError: names an execution that came from a signer whom nobody here trusts.
    """
    doubtful = doubtful_refs(source)
    found = next((name for name in heads if name in doubtful), None)
    if found is not None:
        raise RedunError(
            f"execution {found.split('/')[1]} came from a signer whom nobody here trusts: handing it on would vouch for it, "
            "'redun keys trust' says that you do"
        )


def shared_refs(source: Source, pins: bool = False) -> dict[str, bytes]:
    """Return all refs that travel: of executions and tags, and pins of a remote."""
    prefixes = (EXECUTIONS, TAGS, PINS) if pins else (EXECUTIONS, TAGS)
    return {name: oid for prefix in prefixes for name, oid in source.refs(prefix)}


def select(store: Store, names: Iterable[str], kinds: Collection[str]) -> Selection:
    """Find what was asked for.

    Args:
        names: beginnings of ids; `-` and `~N` for executions.
        kinds: of things that may be meant.

    Raises:
        RedunError: nothing, or several things, have such an id.
    """
    from redun.provenance import Provenance
    from redun.retention import pin_name

    provenance = Provenance(store)
    found = Selection()
    for name in names:
        one = provenance.named(name, kinds)
        if one is None:
            raise RedunError(f"no {', '.join(sorted(kinds))} has an id that begins with {name!r}: 'redun log' lists them")
        if one.kind == "execution":
            _add_execution(store.source, one.id, found)
        elif one.kind == "job":
            _add_execution(store.source, provenance.job(one.id).execution, found)
        elif not store.source.contains(bytes.fromhex(one.id)):
            raise RedunError(
                f"{one.kind} {one.id} is so small that it stands inside the calls that have it: name a call or an execution instead"
            )
        else:
            found.heads[pin_name(one.kind, one.id)] = bytes.fromhex(one.id)
    return found


def _add_execution(source: Source, execution: str, found: Selection) -> None:
    found.executions.add(execution)
    for name, head in source.refs(f"{EXECUTIONS}{execution}"):
        found.heads[name] = head


def movements(
    target: Source, heads: Mapping[str, bytes], get: Callable[[bytes], bytes], message: str
) -> tuple[list[RefUpdate], list[str]]:
    """Return how refs of a store are to move to what came, and the names of those that went apart and stay.

    Args:
        get: returns an object of either side.
        message: for the reflog.
    """
    updates, apart = [], []
    for name, theirs in heads.items():
        mine = target.read_ref(name)
        how = Relation.AHEAD if mine is None else relation(get, theirs, mine)
        if how is Relation.AHEAD:
            updates.append(RefUpdate(name, mine, theirs, message))
        elif how is Relation.APART:
            apart.append(name)
    return updates, apart


def tags_about(
    source: Source, heads: Mapping[str, bytes], executions: Collection[str], tags: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Return the refs of those tags that are about what some refs lead to.

    Args:
        source: has all that the heads lead to.
        tags: refs of tags to choose from.
    """
    if not tags:
        return {}
    about = {name.replace("-", "") for name in executions}
    if any(name.split("/")[1] != "execution" for name in tags):
        below = reachable(source, heads.values())
        about.update([oid.hex() for oid in below])
        for name, head in heads.items():
            if name.startswith(EXECUTIONS):
                about.update([job.job_id.hex() for segment in chain(source.get, head) for job in segment.jobs])
    return {name: oid for name, oid in tags.items() if name.split("/")[2].replace("-", "") in about}


def memo_elsewhere(source: Source, executions: Collection[str], calls: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield what the journals of other executions say of eval hashes that led to some calls: (eval hash, call), sorted."""
    found: dict[bytes, bytes] = {}
    doubtful = doubtful_refs(source)
    for name, head in source.refs(EXECUTIONS):
        if name.split("/")[1] in executions or name in doubtful:
            continue
        for segment in chain(source.get, head):
            for key, call in segment.memo:
                if call in calls:
                    found.setdefault(key, call)
    yield from sorted(found.items())
