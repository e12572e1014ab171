"""Which executions a gc keeps: the policy, from `[gc]` in redun.ini and the options of `redun gc`.

An execution stays if any rule keeps it; where there is no rule at all, every one stays. Whatever the rules say, those that run
stay, and those that are pinned (`redun pin`). Without rules gc still deletes what nothing refers to.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from redun.errors import ConfigError, RedunError
from redun.store.journal import Status

if TYPE_CHECKING:
    from redun.config_section import Section
    from redun.provenance import Execution
    from redun.store.repository import Store

PINS = "pins/"
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdwy])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?)b?\Z", re.IGNORECASE)


def parse_duration(text: str) -> float:
    """Return the seconds that a text such as `30d`, `12h` or `1d12h` says.

    Raises:
        ValueError: it says nothing of the kind.
    """
    plain = text.strip().lower()
    parts = _DURATION.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise ValueError(f"expected a time such as 30d, 12h or 1d12h (s, m, h, d, w, y), found {text!r}")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_size(text: str) -> int:
    """Return the bytes that a text such as `50GB`, `500 MiB` or `1000000` says.

    Raises:
        ValueError: it says nothing of the kind.
    """
    found = _SIZE.match(text.strip())
    if found is None:
        raise ValueError(f"expected a size such as 50GB, 500MB or 2TiB, found {text!r}")
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** " kmgtp".index(unit.lower() or " "))


@dataclass(frozen=True)
class Policy:
    """The rules.

    Attributes:
        keep_last: keep this many of the newest executions; None: no such rule.
        keep_within_s: keep what ended in the last so many seconds.
        keep_tags: keep what has one of these tags, (key, JSON value or `ANY_VALUE`).
        max_size: bytes of objects above which values are dropped; None: no limit.
        compact: give free space back to the system afterwards.
    """

    keep_last: int | None = None
    keep_within_s: float | None = None
    keep_tags: tuple[tuple[str, Any], ...] = ()
    max_size: int | None = None
    compact: bool = False

    @property
    def has_rules(self) -> bool:
        """True if it may let executions go."""
        return self.keep_last is not None or self.keep_within_s is not None or bool(self.keep_tags)


@dataclass
class Decision:
    """What becomes of each execution.

    Attributes:
        kept: those that stay, with the reason. dropped: those that go. Newest first.
    """

    kept: list[tuple[Execution, str]] = field(default_factory=list)
    dropped: list[Execution] = field(default_factory=list)

    @property
    def refs(self) -> list[str]:
        """Names of the refs of those that go."""
        return [f"executions/{execution.id}" for execution in self.dropped]


def decide(store: Store, policy: Policy, now_s: float | None = None, pinned: Collection[str] = ()) -> Decision:
    """Tell which executions of a store stay. One that cannot be read stays: what it was is not known.

    Args:
        now_s: seconds since 1970; by default now.
        pinned: UUIDs of executions that stay beside those that are pinned there.
    """
    from redun.provenance import Provenance, matches

    now_us = (time.time() if now_s is None else now_s) * 1e6
    provenance = Provenance(store)
    pinned = {*pinned, *pinned_executions(store)}
    found = Decision()
    for place, execution in enumerate(provenance.executions()):
        reason = ""
        if not policy.has_rules:
            reason = "no rule"
        elif execution.status is Status.RUNNING:
            reason = "running"
        elif execution.id in pinned:
            reason = "pinned"
        elif policy.keep_last is not None and place < policy.keep_last:
            reason = "among the last"
        elif (
            policy.keep_within_s is not None and (execution.end_us or execution.start_us) >= now_us - policy.keep_within_s * 1e6
        ):
            reason = "recent"
        elif policy.keep_tags:
            tags = provenance.tags.of(execution)
            if any(matches(tags, [tag]) for tag in policy.keep_tags):
                reason = "tagged"
        if reason:
            found.kept.append((execution, reason))
        else:
            found.dropped.append(execution)
    return found


def pinned_executions(store: Store) -> set[str]:
    """Return the UUIDs of executions that are pinned in a store."""
    return {name.rsplit("/", 1)[1] for name, _ in store.source.refs(f"{PINS}execution/")}


class Staying(Protocol):
    """What stays, by the plan of a gc."""

    def heads(self) -> dict[str, bytes]:
        """Return the refs of executions that stay."""

    def is_live(self, oid: bytes) -> bool:
        """Tell whether an object is there and stays."""


def tags_gone(store: Store) -> Callable[[list[tuple[str, str, bytes]], Staying], Collection[str]]:
    """Return what tells a gc which tags go, of those on things that are no objects: executions, jobs, small values."""

    def gone(tags: list[tuple[str, str, bytes]], plan: Staying) -> list[str]:
        from redun.provenance.index import Index
        from redun.provenance.values import ValueReader

        source = store.source
        staying = {name.split("/")[1] for name in plan.heads()}
        index = Index(source, store.index_source(), ValueReader(source.get))
        if any(kind in ("job", "value") for _, kind, _ in tags):
            index.update()

        def is_gone(kind: str, entity: bytes) -> bool:
            if kind == "execution":
                return str(uuid.UUID(bytes=entity)) not in staying
            if kind == "job":
                place = index.jobs.get(entity)
                return place is None or str(uuid.UUID(bytes=place[:16])) not in staying
            if kind == "value":
                return not any(plan.is_live(key[21:41]) for key, _ in index.values.scan(entity))
            return True

        found = []
        for name, kind, entity in tags:
            try:
                if is_gone(kind, entity):
                    found.append(name)
            except (RedunError, ValueError):
                continue
        return found

    return gone


def read_policy(section: Section | None, **given: Any) -> Policy:
    """Return the policy that `[gc]` and the options of a command say; an option replaces what `[gc]` says of the same.

    Args:
        given: fields of `Policy`; None: not given.

    Raises:
        ConfigError: an option of the section cannot be read.
    """
    chosen = {name: value for name, value in given.items() if value not in (None, ())}
    if section is not None:
        for name, value in _configured(section).items():
            chosen.setdefault(name, value)
    return Policy(**chosen)


def _configured(section: Section) -> dict[str, Any]:
    found: dict[str, Any] = {}
    last = section.getint("keep_last")
    if last is not None:
        if last < 0:
            raise ConfigError(
                f"{section.where('keep_last')}: expected an integer of at least 0, found {section['keep_last']!r}"
            )
        found["keep_last"] = last
    for option, name, parse in (("keep_within", "keep_within_s", parse_duration), ("max_size", "max_size", parse_size)):
        text = section.get(option)
        if text:
            found[name] = _read(section, option, text, parse)
    tags = section.get("keep_tag")
    if tags:
        found["keep_tags"] = tuple(_read(section, "keep_tag", tags, parse_tags))
    if section.getboolean("compact", False):
        found["compact"] = True
    return found


def warn_size(section: Section | None) -> int | None:
    """Return the bytes beyond which a store is called large, None if none are.

    Raises:
        ConfigError: it is no size.
    """
    text = None if section is None else section.get("warn_size")
    if section is None or not text:
        return None
    size: int = _read(section, "warn_size", text, parse_size)
    return size


def _read(section: Section, option: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        raise ConfigError(f"{section.where(option)}: {error}") from None


def parse_tags(text: str) -> list[tuple[str, Any]]:
    """Return the tags in a text: `key=value` or `key`, separated by blanks or line ends.

    Raises:
        ValueError: a word is no tag.
    """
    from redun.tags import parse_tag_key_value

    return [parse_tag_key_value(word, value_required=False) for word in text.split()]


def check_options(section: Section) -> None:
    """Raise ConfigError for the first option of `[gc]` that cannot work."""
    _configured(section)
    warn_size(section)


def pin_name(kind: str, identity: str) -> str:
    """Return the name of the ref that pins something."""
    return f"{PINS}{kind}/{identity}"


def pins(store: Store) -> Iterable[tuple[str, str, bytes]]:
    """Yield kind, id and object of each pin."""
    for name, oid in store.source.refs(PINS):
        parts = name.split("/")
        if len(parts) == 3:
            yield parts[1], parts[2], oid
