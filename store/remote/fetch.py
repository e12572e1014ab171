"""Fetching: packs, or parts of them, brought to temporary files, and objects read from there, each checked.

How much of a pack is got: all of it, if it is small, if most of it is wanted, or if parts of it were asked for a few times already;
else the frames around what is wanted, neighbours in one request. A whole pack is checked against the digest in its name before
anything of it is expanded; of a part, each object is checked against its id.

The files have no name: the system removes them when this process is gone, however it ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from redun.store.errors import NotInRemote, RemoteDamaged
from redun.store.remote.backends.base import patiently
from redun.store.remote.index import Place
from redun.store.remote.log import PackFact
from redun.store.remote.pack import Pack, PackKind, PackReader, check_digest
from redun.store.remote.remote import Remote
from redun.store.remote.spool import IN_MEMORY_BYTES, spool

SMALL_PACK_BYTES = 1 << 20
_WHOLE_SHARE = 0.5
_MOST_PARTS = 3
_GAP_BYTES = 128 << 10
_REQUEST_BYTES = 16 << 20
_IN_MEMORY_BYTES = 256 << 10
"""There may be hundreds of packs of the call graph at once."""


class _Part(NamedTuple):
    """A stretch of a pack's file that is wanted: where it begins and how many bytes it has."""

    pack: Pack
    start: int
    size: int

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.size == self.pack.size


class _Target:
    """Writes to a file, and computes the digest of what is written while more of it is on its way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.digest = sha256()

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        return self._file.write(data)


def fetch_pack(remote: Remote, pack: Pack | PackFact, folder: Path | None = None, in_memory: int = IN_MEMORY_BYTES) -> BinaryIO:
    """Return a temporary file with all of a pack, checked against the digest in its name.

    Args:
        folder, in_memory: see `spool`.

    Raises:
        RemoteDamaged: it is gone, or another file.
        RemoteError: the remote cannot be reached.
    """
    file = spool(folder, in_memory)
    target: Any = _Target(file)

    def once() -> None:
        target.restart()
        remote.backend.fetch(f"packs/{pack.name}", target, pack.size, remote.meter)

    with _or_closed(file, remote, pack):
        patiently(once)
        check_digest(target.digest.hexdigest(), pack.name, remote.where)
    file.seek(0)
    return file


@contextmanager
def _or_closed(file: BinaryIO, remote: Remote, pack: Pack | PackFact) -> Iterator[None]:
    """Close a file if what it is for fails; a pack that is gone is damage."""
    try:
        yield
    except NotInRemote as error:
        file.close()
        raise RemoteDamaged(f"{remote.where} lacks pack {pack.name}, which its log names: somebody removed it") from error
    except BaseException:
        file.close()
        raise


class Fetcher:
    """Brings objects of a remote here. One thread; close it.

    Args:
        folder: where temporary files go; that of the system by default.
        eager: packs of the call graph are got whole at once: for pulls of everything.
        whole_after: a pack of small values is got whole after parts of it were asked for so often; None: never.
    """

    def __init__(self, remote: Remote, folder: Path | None = None, eager: bool = False, whole_after: int | None = None) -> None:
        self._remote = remote
        self._folder = folder
        self._eager = eager
        self._whole_after = whole_after
        self._readers: dict[str, list[tuple[int, int, PackReader, BinaryIO]]] = {}
        self._whole: dict[str, PackReader] = {}
        self._asked: dict[str, int] = {}
        self.received_bytes = 0

    def has(self, place: Place) -> bool:
        """Tell whether an object's bytes are here."""
        return self._reader(place) is not None

    def _reader(self, place: Place) -> PackReader | None:
        whole = self._whole.get(place.pack)
        if whole is not None:
            return whole
        readers = self._readers.get(place.pack)
        if not readers:
            return None
        pack = readers[0][2].pack
        start, size = pack.span(pack.frames(place.offset, place.size))
        for first, end, reader, _ in readers:
            if first <= start and start + size <= end:
                return reader
        return None

    def fetch(self, places: Collection[Place]) -> None:
        """Bring some objects here, unless they are.

        Raises:
            RemoteError: the remote cannot be reached.
            RemoteDamaged: what it gave is not what it should be.
        """
        by_pack: dict[str, list[Place]] = {}
        for place in places:
            if not self.has(place):
                by_pack.setdefault(place.pack, []).append(place)
        parts: list[_Part] = []
        for name, wanted in by_pack.items():
            pack = self._remote.mirror.pack(name)
            if pack is None:
                raise RemoteDamaged(f"{self._remote.where}: pack {name} is gone: what was in it has to be pushed again")
            parts.extend(self._parts(pack, wanted))
        for part, file in zip(parts, self._remote.each(self._get, parts), strict=True):
            self.received_bytes += part.size
            reader = PackReader(part.pack, file, self._remote.where, part.start)
            self._readers.setdefault(part.pack.name, []).append((part.start, part.start + part.size, reader, file))
            if part.whole:
                self._whole[part.pack.name] = reader

    def _parts(self, pack: Pack, wanted: Iterable[Place]) -> list[_Part]:
        whole = [_Part(pack, 0, pack.size)]
        asked = self._asked[pack.name] = self._asked.get(pack.name, 0) + 1
        graph = pack.kind in (PackKind.GRAPH, PackKind.MIXED)
        if pack.size <= SMALL_PACK_BYTES or (graph and (self._eager or asked > _MOST_PARTS)):
            return whole
        if pack.kind is PackKind.VALUES and self._whole_after is not None and asked > self._whole_after:
            return whole
        spans = sorted({pack.span(pack.frames(place.offset, place.size)) for place in wanted})
        parts: list[_Part] = []
        for start, size in spans:
            last = parts[-1] if parts else None
            if last is not None and start <= last.start + last.size + _GAP_BYTES:
                parts[-1] = _Part(pack, last.start, max(last.size, start + size - last.start))
            else:
                parts.append(_Part(pack, start, size))
        return whole if sum([part.size for part in parts]) > _WHOLE_SHARE * pack.size else parts

    def _get(self, part: _Part) -> BinaryIO:
        remote = self._remote
        if part.whole:
            return fetch_pack(remote, part.pack, self._folder, _IN_MEMORY_BYTES)
        file = spool(self._folder, _IN_MEMORY_BYTES)
        with _or_closed(file, remote, part.pack):
            for start in range(part.start, part.start + part.size, _REQUEST_BYTES):
                size = min(_REQUEST_BYTES, part.start + part.size - start)
                data = patiently(lambda start=start, size=size: remote.backend.get_range(part.pack.file, start, size))  # type: ignore[misc]
                remote.meter(len(data))
                file.write(data)
        return file

    def read(self, oid: bytes, place: Place) -> bytes:
        """Return an object that was fetched, checked against its id.

        Raises:
            RemoteDamaged: it is another object.
        """
        reader = self._reader(place)
        if reader is None:
            self.fetch([place])
            reader = self._reader(place)
        assert reader is not None
        return reader.read(place.offset, place.size, oid)

    def pieces(self, place: Place) -> Iterator[bytes]:
        """Yield the bytes of an object that was fetched, which nobody has checked yet."""
        reader = self._reader(place)
        assert reader is not None
        return reader.pieces(place.offset, place.size)

    def is_whole(self, pack: str) -> bool:
        """Tell whether all of a pack is here."""
        return pack in self._whole

    def forget(self, pack: str) -> None:
        """Let go of what was fetched of a pack."""
        self._whole.pop(pack, None)
        for _, _, _, file in self._readers.pop(pack, ()):
            file.close()

    def close(self) -> None:
        """Let go of everything."""
        for pack in list(self._readers):
            self.forget(pack)
