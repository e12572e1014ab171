"""Repair of a remote: what damaged and missing packs held is put back in new packs, and one entry of the log drops the damaged ones.

Objects are looked for in what can still be read of the damaged packs, in the store here, then wherever `find` looks (other repos). Each is
checked against its id, and only what is missing travels. What nobody has is noted as absent, as values are that a store did not have when
it pushed: pulls then leave it out, and a run computes it again.

Checkpoints are sums of the log: damaged ones are removed. Indexes are put back if this machine still has their bytes. A damaged or missing
entry of the log cannot be made again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from io import BytesIO

from redun.store.errors import DamagedObject, NotInRemote, ObjectNotFound, RemoteDamaged
from redun.store.ids import object_id
from redun.store.remote.backends.base import patiently
from redun.store.remote.checkpoint import checkpoint_if_due
from redun.store.remote.fsck import Findings
from redun.store.remote.graph import Doing, quiet
from redun.store.remote.index import Place, index_name
from redun.store.remote.log import Entry
from redun.store.remote.names import checkpoint_name
from redun.store.remote.pack import PackReader
from redun.store.remote.packer import Packer, name_in
from redun.store.remote.remote import Moved, Remote
from redun.store.remote.rules import in_time
from redun.store.sources.base import Source

Find = Callable[[Collection[bytes]], Iterator[tuple[bytes, bytes]]]
"""Looks for objects elsewhere: yields id and bytes of those that it found."""
_RANGE_BYTES = 16 << 20


@dataclass
class Mended:
    """What a repair did.

    Attributes:
        salvaged, from_here, from_elsewhere: objects that were put back, by where they were found. sent_bytes: of new packs.
        left: ids of objects that nobody has.
        said: what else was done, in words.
    """

    salvaged: int = 0
    from_here: int = 0
    from_elsewhere: int = 0
    sent_bytes: int = 0
    left: set[bytes] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


def mend(
    remote: Remote, own: Remote | None, found: Findings, local: Source, find: Find | None = None, doing: Doing = quiet
) -> Mended:
    """Put right what an inspection found.

    Args:
        remote: that was inspected. own: the same with the mirror of this machine, which remembers; None if it cannot be used.
        local: the store here. find: see `Find`.

    Raises:
        Moved: others collected garbage or mended meanwhile: inspect again.
        RemoteError: the remote cannot be read or written.
    """
    remote.check_writable()
    done = Mended()
    for seq in found.checkpoints:
        patiently(lambda seq=seq: remote.backend.delete(checkpoint_name(seq)))  # type: ignore[misc]
        done.said.append(f"removed checkpoint {seq}, a sum of the log that later ones replace")
    if found.indexes and own is not None:
        _indexes(own, found, done)
    if found.bad_packs or found.lost or found.elsewhere:
        _objects(remote, found, local, find, done, doing)
    return done


def _indexes(own: Remote, found: Findings, done: Mended) -> None:
    """Put indexes back of which the mirror here has the bytes."""
    for seq in range(1, own.seq + 1):
        recent = own.mirror.recent(seq)
        for data in recent[-1] if recent is not None else ():
            name = index_name(data)
            if name in found.indexes:
                patiently(lambda name=name, data=data: own.backend.put(name, BytesIO(data), len(data), own.meter))  # type: ignore[misc]
                done.said.append(f"put {name} back")


def _objects(remote: Remote, found: Findings, local: Source, find: Find | None, done: Mended, doing: Doing) -> None:
    left = dict(found.lost)
    total = len(left)
    with closing(Packer(remote)) as packer:
        for oid, data in _salvage(remote, found):
            packer.add(oid, data)
            del left[oid]
            done.salvaged += 1
        for oid in sorted(left):
            try:
                view = local.view(oid)
            except (ObjectNotFound, DamagedObject):
                continue
            if object_id(view) == oid:
                packer.add(oid, view)
                del left[oid]
                done.from_here += 1
                doing("putting back", total - len(left), total)
        if left and find is not None:
            for oid, data in find(set(left)):
                if oid in left and object_id(data) == oid:
                    packer.add(oid, data)
                    del left[oid]
                    done.from_elsewhere += 1
                    doing("putting back", total - len(left), total)
        index = packer.finish()
        index.absent.update({oid: 0 if place is None else place.size for oid, place in left.items()})
        for oid, place in found.elsewhere.items():
            pack = remote.mirror.pack(place.pack)
            if pack is not None:
                index.places[oid] = place
                index.packs[pack.name] = pack
        entry = Entry(b"", 0, b"", dropped=sorted(found.bad_packs))
        parts = name_in(remote, entry, index)

        def check() -> None:
            if not in_time(packer.since_us, remote.backend.now_us()):
                raise Moved(f"{remote.where}: the repair took too long")

        def seen(theirs: Entry) -> None:
            if theirs.dropped:
                raise Moved(f"{remote.where}: others dropped packs meanwhile")

        remote.commit(entry, parts, (), check, seen)
        checkpoint_if_due(remote)
        done.sent_bytes = packer.sent_bytes
        done.left = set(left)


def _salvage(remote: Remote, found: Findings) -> Iterator[tuple[bytes, bytes]]:
    """Yield what can be read of damaged packs."""
    by_pack: dict[str, list[tuple[bytes, Place]]] = {}
    for oid, place in found.lost.items():
        if place is not None and place.pack in found.bad_packs:
            by_pack.setdefault(place.pack, []).append((oid, place))
    for name, rows in by_pack.items():
        pack = remote.mirror.pack(name)
        if pack is None:
            continue
        with closing(BytesIO()) as file:
            _read_what_is_there(remote, pack.file, file)
            reader = PackReader(pack, file, remote.where)
            for oid, place in sorted(rows, key=lambda row: row[1].offset):
                with suppress(RemoteDamaged):
                    yield oid, reader.read(place.offset, place.size, oid)


def _read_what_is_there(remote: Remote, name: str, file: BytesIO) -> None:
    """Read as much of a file as there is."""
    size = patiently(lambda: remote.backend.size(name)) or 0
    with suppress(NotInRemote, RemoteDamaged):
        for start in range(0, size, _RANGE_BYTES):
            length = min(_RANGE_BYTES, size - start)

            def get(start: int = start, length: int = length) -> bytes:
                return remote.backend.get_range(name, start, length)

            file.write(patiently(get))


__all__ = ["Find", "Mended", "mend"]
