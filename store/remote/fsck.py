"""Is a remote whole: its log, its indexes, its packs, and whether what its refs lead to is there.

Everything is read as somebody reads it who was never there before: into a mirror in memory. So what the mirror of this machine knows hides
nothing. The whole log is read, the call graph, and with `full` every pack.

Cost: a request for each entry of the log; the bytes of the call graph, or of all; about 500 bytes of memory for each object.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256

from redun.store.errors import DamagedObject, ObjectNotFound, RemoteDamaged
from redun.store.ids import ID_BYTES, object_id
from redun.store.objects import Kind
from redun.store.reach import links_in
from redun.store.remote.backends.base import patiently
from redun.store.remote.fetch import fetch_pack
from redun.store.remote.graph import Doing, Graph, links_others, quiet, read_graph
from redun.store.remote.index import Place, decode_index
from redun.store.remote.log import ENTRY_LIMIT, START, Checkpoint, Entry, IndexFact, PackFact, decode_checkpoint
from redun.store.remote.names import checkpoint_name, seq_of
from redun.store.remote.pack import SIZE, PackKind, read_objects
from redun.store.remote.remote import Remote
from redun.store.sources.base import Source

_OBJECT_LIMIT = 1 << 44


@dataclass
class Findings:
    """What was found.

    Attributes:
        full: every pack was read.
        entries, unsigned: of the log, and how many of them nobody signed.
        packs, objects: that the log and the indexes name: how many, and bytes. refs: how many.
        unnamed: files of packs that the log does not name.
        log: what is wrong with the configuration, the log and checkpoints, in words.
        indexes: name of an index that cannot be read -> why. checkpoints: number of a checkpoint -> why.
        bad_packs: name of a pack -> why.
        lost: id of an object that cannot be read -> its place, None if no index knows it. needed: those that refs lead to.
        elsewhere: objects that indexes name in bad packs, or not at all, and that lie in sound ones: id -> place.
        absent: values that were not there either where they were pushed from, and that refs lead to.
        touched: refs that lead to something lost.
    """

    full: bool = False
    entries: int = 0
    unsigned: int = 0
    packs: tuple[int, int] = (0, 0)
    objects: tuple[int, int] = (0, 0)
    refs: int = 0
    unnamed: tuple[int, int] = (0, 0)
    log: list[str] = field(default_factory=list)
    indexes: dict[str, str] = field(default_factory=dict)
    checkpoints: dict[int, str] = field(default_factory=dict)
    bad_packs: dict[str, str] = field(default_factory=dict)
    lost: dict[bytes, Place | None] = field(default_factory=dict)
    needed: set[bytes] = field(default_factory=set)
    elsewhere: dict[bytes, Place] = field(default_factory=dict)
    absent: int = 0
    touched: list[str] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        """True if nothing is wrong."""
        return not (self.log or self.indexes or self.checkpoints or self.bad_packs or self.lost or self.elsewhere)


def inspect(remote: Remote, local: Source, *, full: bool = False, doing: Doing = quiet) -> Findings:
    """Look at a remote.

    Args:
        remote: with a mirror in memory of its own.
        local: the store beside: tells what damaged objects of the call graph led to.
        full: read and hash every pack.
        doing: is told how far it is.

    Raises:
        RemoteError: it cannot be reached.
    """
    work = _Inspection(remote, local, Findings(full), doing)
    work.run()
    return work.found


class _Inspection:
    def __init__(self, remote: Remote, local: Source, found: Findings, doing: Doing) -> None:
        self._remote = remote
        self._local = local
        self.found = found
        self._doing = doing
        self._graph = Graph()

    def run(self) -> None:
        """Look at all of it."""
        found, remote = self.found, self._remote
        try:
            checkpoint = self._checkpoints()
            if not remote.refresh():
                found.log.append("it is empty: nobody has pushed there yet")
                return
            remote.load_shards()
            readable = True
        except RemoteDamaged as error:
            found.log.append(str(error))
            readable = False
        if remote.config is None:
            return
        self._log(checkpoint if readable else None)
        if not readable:
            return
        self._packs()
        self._objects()

    # Log, checkpoints, indexes.

    def _checkpoints(self) -> Checkpoint | None:
        """Read all checkpoints; return the last."""
        remote = self._remote
        last: Checkpoint | None = None
        for name in patiently(lambda: remote.backend.names("ckpt/")):
            seq = seq_of(name, remote.backend.url)
            try:
                last = decode_checkpoint(remote.file(checkpoint_name(seq), ENTRY_LIMIT), f"{remote.where}: checkpoint {seq}")
                if last.seq != seq:
                    raise RemoteDamaged(f"{remote.where}: checkpoint {seq} is another one: it was moved there")
            except RemoteDamaged as error:
                self.found.checkpoints[seq] = str(error)
        return last

    def _log(self, checkpoint: Checkpoint | None) -> None:
        """Read all entries, and see that they make up what a new reader takes for the truth."""
        remote, found = self._remote, self.found
        try:
            numbers = [seq_of(name, remote.backend.url) for name in patiently(lambda: remote.backend.names("log/"))]
        except RemoteDamaged as error:
            found.log.append(str(error))
            return
        missing = sorted(set(range(1, max(numbers, default=0) + 1)).difference(numbers))
        if missing:
            found.log.append(f"entries of its log are missing: {', '.join(map(str, missing[:5]))}{' ...' * (len(missing) > 5)}")
        packs: dict[str, PackFact] = {}
        refs: dict[str, bytes] = {}
        indexes: list[IndexFact] = []
        before = START
        for start in range(0, len(numbers), 64):
            for seq, entry in zip(numbers[start:], remote.each(self._entry, numbers[start : start + 64]), strict=False):
                if isinstance(entry, str):
                    found.log.append(entry)
                    before = b""
                    continue
                if before and entry.before != before:
                    found.log.append(f"entry {seq} of its log does not follow the one before: its history was rewritten")
                before = entry.digest
                found.entries += 1
                found.unsigned += not entry.writer
                packs.update({fact.name: fact for fact in entry.packs})
                for name in entry.dropped:
                    packs.pop(name, None)
                for move in entry.refs:
                    refs.pop(move.name, None)
                    if move.new is not None:
                        refs[move.name] = move.new
                if found.full or checkpoint is None or seq > checkpoint.seq:
                    indexes += entry.indexes
                if checkpoint is not None and checkpoint.seq == seq:
                    self._compare(checkpoint, entry, packs, refs)
            self._doing("reading the log", min(start + 64, len(numbers)), len(numbers))
        if checkpoint is not None:
            indexes += [shard.part for run in checkpoint.runs for shard in run]
        self._indexes(indexes)
        if not found.log and not missing:
            if packs != {fact.name: fact for fact in remote.mirror.facts()}:
                found.log.append("its log and its last checkpoint tell of different packs")
            if refs != remote.refs():
                found.log.append("its log and its last checkpoint tell of different refs")

    def _entry(self, seq: int) -> Entry | str:
        try:
            return self._remote.entry(seq)
        except RemoteDamaged as error:
            return str(error)

    def _compare(self, checkpoint: Checkpoint, entry: Entry, packs: dict[str, PackFact], refs: dict[str, bytes]) -> None:
        says = {fact.name: fact for fact in checkpoint.packs}, {fact.name: fact.target for fact in checkpoint.refs}
        if checkpoint.at != entry.digest or (not self.found.log and says != (packs, refs)):
            self.found.checkpoints[checkpoint.seq] = f"checkpoint {checkpoint.seq} is not the sum of the log up to its entry"

    def _indexes(self, facts: Iterable[IndexFact]) -> None:
        remote = self._remote

        def check(fact: IndexFact) -> str:
            try:
                decode_index(remote.index_bytes(fact), fact.name)
                return ""
            except RemoteDamaged as error:
                return str(error)

        wanted = list(dict.fromkeys(facts))
        for fact, why in zip(wanted, remote.each(check, wanted), strict=True):
            if why:
                self.found.indexes[fact.name] = why

    # Packs.

    def _packs(self) -> None:
        remote, found = self._remote, self.found
        facts = {fact.name: fact for fact in remote.mirror.facts()}
        files = {file.name[6:]: file.size for file in patiently(lambda: remote.backend.files("packs/"))}
        found.packs = len(facts), sum([fact.size for fact in facts.values()])
        unnamed = [size for name, size in files.items() if name not in facts]
        found.unnamed = len(unnamed), sum(unnamed)
        for name, fact in facts.items():
            if name not in files:
                found.bad_packs[name] = "it is missing"
            elif files[name] != fact.size:
                found.bad_packs[name] = f"it has {files[name]:,} bytes, expected {fact.size:,}: it was cut short or replaced"
        good = [fact for fact in facts.values() if fact.name not in found.bad_packs]
        read_graph(remote, self._graph, good, self._doing, self._is_broken)
        if found.full:
            values = [fact for fact in good if fact.kind in (PackKind.VALUES, PackKind.LARGE)]
            for done, fact in enumerate(values):
                try:
                    self._hash(fact)
                except RemoteDamaged as error:
                    self._is_broken(fact, error)
                self._doing("reading values", done + 1, len(values))

    def _is_broken(self, fact: PackFact, error: RemoteDamaged) -> None:
        self.found.bad_packs[fact.name] = str(error).removeprefix(f"{self._remote.where}: ")

    def _hash(self, fact: PackFact) -> None:
        """Compute the id of every object of a pack of values, and see that the indexes say the same."""
        remote = self._remote
        offset = 0
        with fetch_pack(remote, fact) as file:
            for data in read_objects(file, f"{remote.where}: pack {fact.name}", _OBJECT_LIMIT):
                offset += SIZE.size
                if isinstance(data, bytes):
                    oid, size, kind = object_id(data), len(data), data[0]
                else:
                    digest, size, kind = sha256(), data.size, int(Kind.VALUE)
                    for piece in data.pieces:
                        digest.update(piece)
                    oid = digest.digest()[:ID_BYTES]
                place = remote.mirror.place(oid)
                if place is None or (place.pack == fact.name and place[1:] != (offset, size, kind)):
                    raise RemoteDamaged(f"the indexes do not say that object {oid.hex()} is where it is")
                offset += size

    # Objects.

    def _objects(self) -> None:
        """See that what the refs lead to is there, and find what bad packs held."""
        found, remote, graph = self.found, self._remote, self._graph
        refs = remote.refs()
        found.refs = len(refs)
        count = size = 0
        for oid in remote.mirror.ids_from(bytes(ID_BYTES)):
            place = remote.mirror.place(oid)
            if place is None:
                continue
            count += 1
            size += place.size
            if place.pack in found.bad_packs and oid in graph.copies:
                found.elsewhere[oid] = next(iter(graph.copies[oid].values()))
            elif place.pack in found.bad_packs:
                found.lost[oid] = place
                pack = remote.mirror.pack(place.pack)
                if pack is None or links_others(pack):
                    self._ask_here(oid)
            elif oid not in graph.links and place.pack in graph.packs:
                # The pack is sound, and it is not in it.
                found.lost[oid] = place
        found.objects = count, size
        for oid in graph.reach(refs.values()):
            place = remote.mirror.place(oid)
            if place is not None and not place.pack:
                found.absent += 1
            elif place is None and oid in graph.copies:
                found.elsewhere[oid] = next(iter(graph.copies[oid].values()))
            elif place is None:
                found.lost[oid] = None
                self._ask_here(oid)
        # What is known by now of what was lost leads further.
        needed = graph.reach(refs.values())
        for oid in needed:
            if remote.mirror.place(oid) is None and oid not in graph.copies:
                found.lost.setdefault(oid, None)
        found.needed = needed.intersection(found.lost)
        touched = graph.touched(found.lost) if found.lost else set()
        found.touched = sorted([name for name, oid in refs.items() if oid in touched])

    def _ask_here(self, oid: bytes) -> None:
        """Learn from the store here what a lost object led to."""
        try:
            data = self._local.get(oid)
        except (ObjectNotFound, DamagedObject):
            return
        if object_id(data) == oid:
            self._graph.links.setdefault(oid, b"".join(links_in(data)))


__all__ = ["Findings", "inspect"]
