"""Records of a store as lines of JSON, and back: `redun export` and `redun import`.

The first line says what it is, then objects, each after those that it links, then refs, then how many lines there were before the last:

    {"redun": "export", "format": 1}
    {"object": "<id>", "kind": "call", "data": "<base64 of the object's bytes>"}
    {"memo": "<eval hash>", "call": "<id>"}
    {"ref": "executions/<uuid>", "id": "<id of the newest segment>"}
    {"end": 12}

An object's id is checked on the way in, so a line that was changed is refused. Importing the same lines again changes nothing. The memo
is made from the journals that come, and from lines of its own for calls that these journals only used; what the store knows already wins.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from redun.errors import RedunError
from redun.evaluation.cache import memo_row
from redun.journal_memo import journal_memo
from redun.records import call_head
from redun.store.errors import StoreError
from redun.store.ids import ID_BYTES, object_id
from redun.store.incoming import Incoming
from redun.store.journal import decode_segment
from redun.store.objects import Kind, split
from redun.store.reach import in_order
from redun.store.remote.heads import leads_to
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate, Source
from redun.travel import check_vouched, doubtful_refs, memo_elsewhere

FORMAT = 1
_BATCH_BYTES = 8 << 20
_BATCH_OBJECTS = 2000


class ExchangeError(RedunError, ValueError):
    """Lines that are to be imported are damaged, incomplete, or of another kind; names the line."""


@dataclass
class Exchanged:
    """What an import did.

    Attributes:
        objects, refs: how many were new here.
        known: how many objects were here already.
    """

    objects: int = 0
    refs: int = 0
    known: int = 0


def export_lines(store: Store, executions: Collection[str] | None = None) -> Iterator[str]:
    """Yield the records of a store as lines.

    Args:
        executions: UUIDs of those to export, with all that they lead to and the tags of all that; None for the whole store.

    Raises:
        StoreError: an object is gone or damaged.
    """
    source = store.source
    refs = [(name, head) for name, head in source.refs() if _is_wanted(name, executions)]
    if executions is None:
        doubtful = doubtful_refs(source)
        refs = [(name, head) for name, head in refs if name not in doubtful]
    else:
        check_vouched(source, [name for name, _ in refs])
    count = 1
    yield json.dumps({"redun": "export", "format": FORMAT})
    seen: set[bytes] = set()
    jobs: set[bytes] = set()

    def objects(head: bytes) -> Iterator[str]:
        for oid in in_order(source, [head], seen):
            data = source.get(oid)
            kind = split(data)[0]
            if kind is Kind.SEGMENT:
                jobs.update([job.job_id for job in decode_segment(data).jobs])
            text = base64.b64encode(data).decode()
            yield json.dumps({"object": oid.hex(), "kind": kind.name.lower(), "data": text})

    for _, head in refs:
        for line in objects(head):
            count += 1
            yield line
    if executions is not None:
        # Tags that were said later have refs of their own, named after what they are about.
        about = {oid.hex() for oid in seen} | {job.hex() for job in jobs} | {name.replace("-", "") for name in executions}
        tags = [(name, head) for name, head in source.refs("tags/") if name.split("/")[2].replace("-", "") in about]
        for _, head in tags:
            for line in objects(head):
                count += 1
                yield line
        for key, call in memo_elsewhere(source, executions, seen):
            count += 1
            yield json.dumps({"memo": key.hex(), "call": call.hex()})
        refs += tags
    for name, head in refs:
        count += 1
        yield json.dumps({"ref": name, "id": head.hex()})
    yield json.dumps({"end": count})


def _is_wanted(name: str, executions: Collection[str] | None) -> bool:
    if executions is None:
        return name.startswith(("executions/", "tags/"))
    parts = name.split("/")
    return parts[0] == "executions" and parts[1] in executions


def import_lines(store: Store, lines: Iterable[str], said: Callable[[str], None] = lambda text: None) -> Exchanged:
    """Take in the records of `export_lines`.

    Args:
        said: is told of executions that are here in another state, and stay as they are.

    Raises:
        ExchangeError: a line is damaged, or the last ones are missing; what came before stays, but nothing names it.
        StoreError: the store cannot be written.
    """
    with Incoming(store) as incoming:
        return _Import(store.source, incoming, said).run(lines)


class _Import:
    def __init__(self, source: Source, incoming: Incoming, said: Callable[[str], None]) -> None:
        self._source = source
        self._incoming = incoming
        self._known: dict[bytes, bytes] = {}
        self._said = said
        self._done = Exchanged()
        self._objects: dict[bytes, bytes] = {}
        self._links: set[bytes] = set()
        self._bytes = 0
        self._refs: dict[str, bytes] = {}
        self._memo: list[tuple[bytes, bytes]] = []

    def run(self, lines: Iterable[str]) -> Exchanged:
        number = 0
        ended = False
        for number, line in enumerate(lines, 1):
            if ended:
                raise ExchangeError(f"line {number}: expected nothing after the end, found {line.strip()[:80]!r}")
            ended = self._line(number, self._parsed(number, line))
        if number == 0:
            raise ExchangeError("expected the lines of an export of redun, found nothing")
        if not ended:
            raise ExchangeError(f"line {number}: expected more lines: the file is not complete, export it again")
        self._flush()
        self._move_refs()
        return self._done

    def _parsed(self, number: int, line: str) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ExchangeError(f"line {number} is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise ExchangeError(f"line {number}: expected a JSON object, found {line.strip()[:80]!r}")
        return found

    def _line(self, number: int, record: dict[str, Any]) -> bool:
        """Take one record; True if it is the end."""
        if number == 1:
            if record.get("redun") != "export":
                raise ExchangeError("line 1: expected the beginning of an export of redun: another kind of file?")
            if record.get("format") != FORMAT:
                raise ExchangeError(f"line 1: format {record.get('format')!r} is unknown, expected {FORMAT}: use a newer redun")
        elif "object" in record:
            self._object(number, record)
        elif "memo" in record:
            self._memo_line(number, record)
        elif "ref" in record:
            self._ref(number, record)
        elif "end" in record:
            if record["end"] != number - 1:
                raise ExchangeError(
                    f"line {number}: expected {record['end']} lines before the end, found {number - 1}: lines are missing"
                )
            return True
        else:
            raise ExchangeError(f"line {number}: expected an object, a ref or the end, found {', '.join(record) or 'nothing'}")
        return False

    def _object(self, number: int, record: dict[str, Any]) -> None:
        try:
            data = base64.b64decode(record["data"], validate=True)
            oid = bytes.fromhex(record["object"])
            links = split(data)[3]
        except (KeyError, TypeError, ValueError, StoreError) as error:
            raise ExchangeError(f"line {number}: the object cannot be read: {error}") from None
        if object_id(data) != oid:
            raise ExchangeError(f"line {number}: object {oid.hex()} is damaged: its bytes have the id {object_id(data).hex()}")
        if self._source.contains(oid):
            self._done.known += 1
            self._known[oid] = data
        else:
            self._objects[oid] = data
            self._done.objects += 1
        self._links.update(links)
        self._bytes += len(data)
        if self._bytes > _BATCH_BYTES or len(self._objects) + len(self._known) >= _BATCH_OBJECTS:
            self._flush()

    def _memo_line(self, number: int, record: dict[str, Any]) -> None:
        try:
            key, call = bytes.fromhex(record["memo"]), bytes.fromhex(record["call"])
            if len(key) != ID_BYTES or len(call) != ID_BYTES:
                raise ValueError(f"an id has {ID_BYTES} bytes")
        except (KeyError, TypeError, ValueError) as error:
            raise ExchangeError(f"line {number}: the memo cannot be read: {error}") from None
        self._memo.append((key, call))

    def _ref(self, number: int, record: dict[str, Any]) -> None:
        try:
            name, head = record["ref"], bytes.fromhex(record["id"])
            if len(head) != ID_BYTES or not name.startswith(("executions/", "tags/")):
                raise ValueError(f"{name!r} is no name of an execution or a tag")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ExchangeError(f"line {number}: the ref cannot be read: {error}") from None
        self._refs[name] = head

    def _flush(self) -> None:
        if self._objects or self._known:
            self._incoming.commit(self._objects, self._known, self._links)
            self._source.refresh()
        self._objects, self._known, self._links, self._bytes = {}, {}, set(), 0

    def _move_refs(self) -> None:
        """Name what came, with the memo of its journals, in one commit."""
        batch = Batch(links=set(self._refs.values()))
        for name, head in sorted(self._refs.items()):
            here = self._source.read_ref(name)
            if here == head or (here is not None and self._leads_to(here, head)):
                continue
            if here is not None and not self._leads_to(head, here):
                self._said(f"{name} is here in another state and stays as it is")
                continue
            batch.refs.append(RefUpdate(name, here, head, "import"))
            if name.startswith("executions/"):
                self._add_memo(batch.memo, head, here)
        for key, call in self._memo:
            if self._source.contains(call):
                self._note(batch.memo, key, memo_row(call, call_head(self._source.get(call)).reduction))
        self._done.refs = len(batch.refs)
        batch.refs += self._incoming.ends()
        if batch.refs or batch.memo:
            self._source.commit(batch)
            self._incoming.ended()

    def _leads_to(self, head: bytes, other: bytes) -> bool:
        return leads_to(self._source.get, head, other)

    def _add_memo(self, memo: dict[bytes, bytes], head: bytes, until: bytes | None) -> None:
        """Note what the journal says of eval hashes; what the store knows already wins."""
        for key, row in journal_memo(self._source, head, until):
            self._note(memo, key, row)

    def _note(self, memo: dict[bytes, bytes], key: bytes, row: bytes) -> None:
        if key not in memo and self._source.memo_get(key) is None:
            memo[key] = row


__all__ = ["ExchangeError", "Exchanged", "export_lines", "import_lines"]
