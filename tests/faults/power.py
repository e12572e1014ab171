"""Power cuts, made of what the shim `disk.c` recorded: at some change the power goes, and what was not synced may be there or not.

The model is stricter than common file systems:

- what was written to a file is durable once the file was synced, or at once if its descriptor syncs (O_DSYNC); of what was not, any
  sectors of 512 bytes may have reached the disk, in any order, and the others hold what they held before;
- what was created, renamed, linked or removed in a folder is durable once that folder was synced; of what was not, either the first ones
  are, or any of them;
- a sector is written whole or not at all.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("<cBHHQI")


@dataclass
class Change:
    """One recorded change; paths relative to the root."""

    kind: str
    dsync: bool
    path: str
    other: str
    offset: int
    data: bytes


def read_log(log: Path, root: Path) -> list[Change]:
    """Read what was recorded."""
    data = log.read_bytes()
    prefix = len(os.path.realpath(root)) + 1
    changes = []
    at = 0
    while at < len(data):
        kind, dsync, first, second, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        path = data[at : at + first].decode()[prefix:]
        at += first
        other = data[at : at + second].decode()[prefix:]
        at += second
        changes.append(Change(kind.decode(), bool(dsync), path, other, offset, data[at : at + length]))
        at += length
    return changes


@dataclass
class Content:
    """A file: what is durable, and what was written since it was synced."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.pending:
            _put(self.durable, offset, data)
        self.pending.clear()

    def after_a_cut(self, dice: random.Random) -> bytes:
        found = bytearray(self.durable)
        chance = dice.choice((0.0, 0.2, 0.5, 0.8, 1.0))
        for offset, data in self.pending:
            at = 0
            while at < len(data):
                end = min(len(data), at + SECTOR - (offset + at) % SECTOR)
                if dice.random() < chance:
                    _put(found, offset + at, data[at:end])
                at = end
        return bytes(found)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class Disk:
    """What is on the disk, and what may be.

    Args:
        initial: folder with what was there before, all of it durable.
    """

    def __init__(self, initial: Path | None = None) -> None:
        self._durable: dict[str, Content | None] = {}
        if initial is not None:
            for place, folders, files in os.walk(initial):
                below = os.path.relpath(place, initial)
                for name in folders:
                    self._durable[os.path.normpath(f"{below}/{name}")] = None
                for name in files:
                    content = Content(bytearray(Path(place, name).read_bytes()))
                    self._durable[os.path.normpath(f"{below}/{name}")] = content
        self._now = dict(self._durable)
        self._pending: list[tuple[str, str, str, Content | None]] = []

    def apply(self, change: Change) -> None:
        """Do what a program did."""
        kind, path = change.kind, change.path
        if kind == "w":
            content = self._now.get(path)
            if content is None:
                return  # removed while it was open
            content.pending.append((change.offset, change.data))
            if change.dsync:
                last = content.pending.pop()
                _put(content.durable, *last)
        elif kind == "t":
            content = self._now.get(path)
            if content is not None:
                content.sync()
                _put(content.durable, change.offset, b"")
                del content.durable[change.offset :]
        elif kind == "s":
            content = self._now.get(path)
            if content is not None:
                content.sync()
            else:
                self._sync_folder(path)
        else:
            self._entry(kind, path, change.other)

    def _entry(self, kind: str, path: str, other: str) -> None:
        if kind == "c":
            made: Content | None = Content()
            self._now[path] = made
        elif kind == "m":
            made = None
            self._now[path] = None
        elif kind in "rl":
            made = self._now.get(path)
            self._now[other] = made
            if kind == "r":
                self._now.pop(path, None)
        else:
            made = self._now.pop(path, None)
        self._pending.append((kind, path, other, made))

    def _sync_folder(self, path: str) -> None:
        left = []
        for one in self._pending:
            if os.path.dirname(one[2] or one[1]) == path:
                _settle(self._durable, *one)
            else:
                left.append(one)
        self._pending = left

    def cut(self, dice: random.Random, folder: Path) -> None:
        """Write what is on the disk after the power went now."""
        names = dict(self._durable)
        chance = dice.choice((0.0, 0.5, 0.9, 1.0))
        in_order = dice.random() < 0.5
        for one in self._pending:
            if dice.random() < chance:
                _settle(names, *one)
            elif in_order:
                break
        folder.mkdir()
        # A folder that is not there takes what is in it along.
        for path in sorted(names):
            content = names[path]
            place = folder / path
            if not place.parent.is_dir():
                continue
            if content is None:
                place.mkdir()
            else:
                place.write_bytes(content.after_a_cut(dice))


def _settle(names: dict[str, Content | None], kind: str, path: str, other: str, made: Content | None) -> None:
    if kind in "cm":
        names[path] = made
    elif kind in "rl":
        names[other] = made
        if kind == "r":
            names.pop(path, None)
    else:
        names.pop(path, None)


def cuts(
    changes: list[Change], dice: random.Random, count: int, initial: Path | None = None
) -> Iterator[tuple[Disk, list[bytes]]]:
    """Yield the disk at `count` random moments, in order, with the lines that were written to `acks` up to then."""
    moments = sorted(dice.choices(range(1, len(changes) + 1), k=count))
    disk = Disk(initial)
    acks: list[bytes] = []
    done = 0
    for moment in moments:
        for change in changes[done:moment]:
            if change.path == "acks":
                acks += [line for line in [change.data.strip()] if line]
                continue
            disk.apply(change)
        done = moment
        yield disk, list(acks)
