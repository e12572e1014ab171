"""Tags said later: `redun tag add`, `rm` and `update`, for scripts and the command line.

    from redun.tag_edits import TagEditor

    TagEditor(store).add("value", value_id, [("checked", True)])

Every change is a new record beside the old ones (see `redun.tag_records`), written with a ref that keeps it, in one commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from redun.errors import RedunError
from redun.provenance.tags import Tags
from redun.store.errors import MissingLinks, RefConflict
from redun.store.sources.base import Batch, RefUpdate
from redun.tag_records import Pair, TagRecord, newest, pack
from redun.tags import ANY_VALUE, check_tags, format_tag_key_value

if TYPE_CHECKING:
    from redun.provenance.provenance import StoreView

_ATTEMPTS = 5


class NoSuchTag(RedunError, KeyError):
    """A tag that should be removed is not there."""

    def __str__(self) -> str:
        return str(self.args[0])


class TagEditor:
    """Adds, changes and removes tags of the things in one store. For one thread at a time.

    Args:
        store: it must be writable.
        by: the user to note with each change.
    """

    def __init__(self, store: StoreView, by: str = "") -> None:
        self._store = store
        self._by = by
        self._now = 0

    def add(self, kind: str, entity: bytes, pairs: Iterable[Pair]) -> list[TagRecord]:
        """Give an entity more tags; a key may have several values. What holds already is left as it is.

        Args:
            kind: `execution`, `job`, `call`, `task` or `value`.
            entity: its id, 16 bytes of an execution or job, else 20.

        Returns:
            The records that are new.
        """
        wanted = check_tags(pairs)
        return self._change(kind, entity, lambda known: self._added(kind, entity, wanted, known))

    def _added(self, kind: str, entity: bytes, wanted: tuple[Pair, ...], known: list[TagRecord]) -> list[TagRecord]:
        tips = newest(known)
        holds = {record.pair for record in tips.values() if record.key is not None}
        pair_of = {record.id: record.pair for record in known}
        made = []
        for key, value in wanted:
            pair = pack([key, value])
            if pair in holds:
                continue
            holds.add(pair)
            # One that was removed comes back on top of its removal.
            removals = [
                tag_id
                for tag_id, tip in tips.items()
                if tip.key is None and pair in [pair_of.get(parent) for parent in tip.parents]
            ]
            made.append(self._record(kind, entity, key, value, removals))
        return made

    def update(self, kind: str, entity: bytes, pairs: Iterable[Pair]) -> list[TagRecord]:
        """Give keys new values in place of all that they have now; a key that is not there is added."""
        wanted = check_tags(pairs)
        return self._change(kind, entity, lambda known: self._updated(kind, entity, wanted, known))

    def _updated(self, kind: str, entity: bytes, wanted: tuple[Pair, ...], known: list[TagRecord]) -> list[TagRecord]:
        tips = {tag_id: record for tag_id, record in newest(known).items() if record.key is not None}
        made = []
        for key in dict.fromkeys([key for key, _ in wanted]):
            replaced = {tag_id: record for tag_id, record in tips.items() if record.key == key}
            values = {pack([key, value]): value for name, value in wanted if name == key}
            if values.keys() == {record.pair for record in replaced.values()}:
                continue
            made += [self._record(kind, entity, key, value, list(replaced)) for value in values.values()]
        return made

    def remove(self, kind: str, entity: bytes, pairs: Iterable[Pair]) -> list[TagRecord]:
        """Take tags away. A value of `ANY_VALUE` stands for every value of the key.

        Returns:
            The removed records.

        Raises:
            NoSuchTag: the entity has no such tag; nothing is changed then.
        """
        given = list(pairs)
        keys = {key for key, value in given if value is ANY_VALUE}
        exact = {pack([key, value]): (key, value) for key, value in check_tags([p for p in given if p[1] is not ANY_VALUE])}
        removed: list[TagRecord] = []

        def change(known: list[TagRecord]) -> list[TagRecord]:
            tips = {tag_id: record for tag_id, record in newest(known).items() if record.key is not None}
            hit = {tag_id: record for tag_id, record in tips.items() if record.key in keys or record.pair in exact}
            missing = [key for key in keys if key not in {record.key for record in hit.values()}]
            pairs_hit = {record.pair for record in hit.values()}
            missing += [format_tag_key_value(*pair) for packed, pair in exact.items() if packed not in pairs_hit]
            if missing:
                have = ", ".join(sorted({format_tag_key_value(record.key or "", record.value) for record in tips.values()}))
                raise NoSuchTag(f"{kind} {entity.hex()[:8]} has no tag {', '.join(sorted(missing))}: it has {have or 'none'}")
            removed[:] = hit.values()
            return [self._record(kind, entity, None, None, list(hit))] if hit else []

        self._change(kind, entity, change)
        return removed

    def _record(self, kind: str, entity: bytes, key: str | None, value: Any, parents: list[bytes]) -> TagRecord:
        # Two records of one command must not share a time, or an addition repeated after a removal would be the old record.
        self._now = max(self._now + 1, time.time_ns() // 1000)
        return TagRecord(kind, entity, key, value, tuple(sorted(parents)), self._now, self._by)

    def _change(self, kind: str, entity: bytes, change: Callable[[list[TagRecord]], list[TagRecord]]) -> list[TagRecord]:
        """Write what `change` makes of an entity's records, once more if somebody else was quicker."""
        from redun.provenance.provenance import Provenance

        for attempt in range(_ATTEMPTS):
            self._store.source.refresh()
            tags: Tags = Provenance(self._store).tags
            known = tags.records(kind, entity)
            made = change(known)
            if not made:
                return []
            by_id = {record.id: record for record in known}
            objects = {}
            for record in made:
                objects[record.id] = record.encode()
                # What a run said is no object yet; as a parent it must be one.
                objects.update({parent: by_id[parent].encode() for parent in record.parents})
            links = {older for parent in objects if parent in by_id for older in by_id[parent].parents}
            try:
                self._store.source.commit(Batch(objects, {}, [RefUpdate(r.ref, None, r.id, "tag") for r in made], links))
                return made
            except (RefConflict, MissingLinks):
                # Somebody else was quicker: another editor, or a gc to which the entity had gone.
                if attempt == _ATTEMPTS - 1:
                    raise
        return []
