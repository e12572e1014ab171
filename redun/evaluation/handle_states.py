"""States of handles: which of them still hold. The graph is kept in the store and shared by all runs.

Two kinds of events stand in the journal (`redun.store.journal.HandleEvent`): a state was *reached* from others, or a state was
*branched from*, which abandons all that had been reached from it. The reflog puts the events of all executions into one order: that of their
commits. A state is valid if

    it was reached after the last branching from any state before it, and
    every state that it was reached from is valid.

So validity follows from facts that only grow (edges, and for each state the places of its last events), in whatever order and however
often they are noted. That is what lets two runs, and any number of readers, keep one derived table without locks:

    handles   b"seen"                              -> number of the last movement of the reflog that was followed, 8 bytes
              state 20, b"p", earlier state 20     -> empty        state 20, b"c", later state 20  -> empty
              state 20, b"a", place 12             -> empty: it was reached there
              state 20, b"r", place 12             -> empty: it was branched from there

A place is the number of the movement (8 bytes) and of the event in it (4). Before anything is decided, what others have committed by
now is taken in. Events of the run that are not committed yet come after all that are.

Cost: nothing for runs without handles. The first handle of a run reads the header of each segment since `seen`; a call with a handle
costs some tens of microseconds, and a commit of its own if it abandons states.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from redun.errors import RedunError, StoreError
from redun.store.ids import ID_BYTES
from redun.store.journal import HandleEvent, decode_segment
from redun.store.objects import Flag, links

if TYPE_CHECKING:
    from redun.evaluation.recorder import Recorder
    from redun.evaluation.unrecorded import NoRecorder
    from redun.store.repository import Store

_PREFIX = "executions/"
_SEEN = b"seen"
_PLACE_BITS = 32
_PENDING = 1 << 128
"""Places of events that are not committed begin here: after every place there is."""
_ROWS_AT_ONCE = 20_000


class _Facts:
    """What is known of one state: edges, and where it was last reached and branched from (0: never)."""

    __slots__ = ("branched", "children", "parents", "reached")

    def __init__(self) -> None:
        self.parents: set[bytes] = set()
        self.children: set[bytes] = set()
        self.reached = 0
        self.branched = 0


class HandleStates:
    """The graph of states of one store.

    One thread owns it while a run goes on; other threads may ask `is_valid`, and are told what the owner knew.

    Args:
        store: where journal and table are.
    """

    def __init__(self, store: Store) -> None:
        self._source = store.source
        tables = store.index_source()
        self._table = tables.table("handles")
        self._one_source = tables is store.source
        self._seen: int | None = None
        self._moment = 0
        self._facts: dict[bytes, _Facts] = {}
        self._fresh: dict[bytes, bytes] = {}
        # Events of the run that the reflog does not have yet, and what they change: state -> place.
        self._pending: list[HandleEvent] = []
        self._pending_reached: dict[bytes, int] = {}
        self._pending_branched: dict[bytes, int] = {}
        self._pending_count = 0
        # State -> (last branching from any state before it, whether it is valid).
        self._verdicts: dict[bytes, tuple[int, bool]] = {}
        # Whatever happened at places below this may have been other runs' doing.
        self._others = 0
        self._recorder: Recorder | NoRecorder | None = None
        self._own_ref = ""
        # The last movement of it that was taken in, and what the table said of `seen` when last looked at.
        self._own_seen = 0
        self._stored = 0
        self._owner: int | None = None
        self._lock = threading.RLock()

    # A run.

    def begin(self, recorder: Recorder | NoRecorder) -> None:
        """A run begins: its events go to a recorder."""
        self._recorder = recorder
        self._own_ref = getattr(recorder, "ref", "")
        self._owner = threading.get_ident()
        self._forget_pending()
        self._update()
        self._others = ((self._seen or 0) + 1) << _PLACE_BITS

    def end(self) -> None:
        """The run is over: what was learned is noted in the table."""
        self._recorder = None
        self._owner = None
        if self._seen is None:
            return
        try:
            self._update()
            self._flush()
        except StoreError:
            # The table can always be made again.
            self._seen = None
            self._facts.clear()
            self._fresh.clear()
        self._forget_pending()

    def commit(self) -> None:
        """Have all events written, and be sure of it."""
        if self._recorder is not None:
            self._recorder.commit()

    # Questions and events.

    def is_valid(self, state: bytes) -> bool:
        """Tell whether a state holds; one that nobody ever reached does not."""
        with self._lock:
            if self._owner is not None and self._owner != threading.get_ident():
                # The source belongs to the owner. What is in memory has all states that this run has met.
                return self._verdict(state, {}, load=False)[1]
            self._update()
            return self._verdict(state, self._verdicts)[1]

    def is_known(self, state: bytes) -> bool:
        """Tell whether a state was ever reached."""
        with self._lock:
            self._update()
            return self._reached(state, self._load(state)) > 0

    def parents(self, state: bytes) -> frozenset[bytes]:
        """Return the states that one was ever reached from."""
        with self._lock:
            self._update()
            return frozenset(self._load(state).parents)

    def children(self, state: bytes) -> frozenset[bytes]:
        """Return the states that were ever reached from one."""
        with self._lock:
            self._update()
            return frozenset(self._load(state).children)

    def rivals(self, state: bytes) -> frozenset[bytes]:
        """Return other merged states, if this is one, that share a branch with it: they stand for the same thing."""
        with self._lock:
            self._update()
            parents = self._load(state).parents
            if len(parents) < 2:
                return frozenset()
            merges = {child for parent in parents for child in self._load(parent).children if child != state}
            return frozenset(merge for merge in merges if len(self._load(merge).parents) > 1)

    def reach(self, state: bytes, parents: Sequence[bytes]) -> None:
        """A state was reached from others; from none: it is the first of its handle."""
        with self._lock:
            self._update()
            known = self._load(state)
            if known.parents.issuperset(parents) and self._verdict(state, self._verdicts)[1]:
                return
            self._event(HandleEvent(state, tuple(parents)))

    def branch(self, state: bytes) -> bool:
        """A call is made on a state: what was reached from it before is abandoned.

        Returns:
            True if that was valid till now. Then `commit` before the call may change anything: were the process to die in the call,
            the next one must not take the old states for good.
        """
        with self._lock:
            self._update()
            children = self._load(state).children
            if not children:
                return False
            above = self._verdict(state, self._verdicts)[0]
            if above > self._others and all(self._reached(child, self._load(child)) < above for child in children):
                # This run branched further up and nobody else has been here since: all that is abandoned already.
                return False
            lost = any(self._verdict(child, self._verdicts)[1] for child in children)
            self._event(HandleEvent(state, None))
            return lost

    def _event(self, event: HandleEvent) -> None:
        assert self._recorder is not None, "events belong to a run"
        self._recorder.handle(event)
        self._pending.append(event)
        self._overlay(event)

    # What is known.

    def _reached(self, state: bytes, facts: _Facts) -> int:
        return self._pending_reached.get(state) or facts.reached

    def _branched(self, state: bytes, facts: _Facts) -> int:
        return self._pending_branched.get(state) or facts.branched

    def _verdict(self, state: bytes, verdicts: dict[bytes, tuple[int, bool]], load: bool = True) -> tuple[int, bool]:
        """Return the last branching before a state, and whether it is valid. Iterative: chains are long."""
        stack = [state]
        entered: set[bytes] = set()
        while stack:
            at = stack[-1]
            if at in verdicts:
                stack.pop()
                continue
            facts = self._load(at) if load else self._facts.get(at) or _Facts()
            if at not in entered:
                entered.add(at)
                # A damaged journal might hold a circle: nobody is asked twice.
                waiting = [parent for parent in facts.parents if parent not in verdicts and parent not in entered]
                if waiting:
                    stack.extend(waiting)
                    continue
            last, valid = 0, True
            for parent in facts.parents:
                above, holds = verdicts.get(parent, (_PENDING, False))
                own = self._load(parent) if load else self._facts.get(parent) or _Facts()
                last = max(last, above, self._branched(parent, own))
                valid = valid and holds
            reached = self._reached(at, facts)
            verdicts[at] = (last, valid and reached > last)
            stack.pop()
        return verdicts[state]

    def _load(self, state: bytes) -> _Facts:
        facts = self._facts.get(state)
        if facts is None:
            facts = self._facts[state] = _Facts()
            for key, _ in self._table.scan(state):
                kind, rest = key[ID_BYTES : ID_BYTES + 1], key[ID_BYTES + 1 :]
                if kind == b"p":
                    facts.parents.add(rest)
                elif kind == b"c":
                    facts.children.add(rest)
                elif kind == b"a":
                    facts.reached = max(facts.reached, int.from_bytes(rest, "big"))
                elif kind == b"r":
                    facts.branched = max(facts.branched, int.from_bytes(rest, "big"))
        return facts

    def _overlay(self, event: HandleEvent) -> None:
        """Let an event that is not committed count."""
        self._pending_count += 1
        place = _PENDING + self._pending_count
        state = event.state
        if event.parents is None:
            self._pending_branched[state] = place
            for child in self._load(state).children:
                self._drop(child)
            return
        self._pending_reached[state] = place
        self._link(event)

    def _link(self, event: HandleEvent) -> None:
        """Add the edges of an event; verdicts that may be others now are dropped."""
        facts = self._load(event.state)
        for parent in event.parents or ():
            facts.parents.add(parent)
            self._load(parent).children.add(event.state)
        self._drop(event.state)

    def _drop(self, state: bytes) -> None:
        """Forget the verdicts on a state and all that follow from it; whoever has one, so have all states before it."""
        pending = [state]
        while pending:
            at = pending.pop()
            if self._verdicts.pop(at, None) is not None:
                pending.extend(self._facts[at].children)

    def _forget_pending(self) -> None:
        self._pending.clear()
        self._reset_overlay()

    def _reset_overlay(self) -> None:
        if self._pending_count:
            self._pending_reached.clear()
            self._pending_branched.clear()
            self._pending_count = 0
            self._verdicts.clear()

    # The journal.

    def _update(self) -> None:
        """Take in what has been committed since the last time."""
        source = self._source
        moment = source.moment()
        if moment and moment == self._moment and self._one_source and self._seen is not None:
            # Nobody has written anything. (A store in memory does not say.)
            return
        self._moment = moment
        source.refresh()
        row = self._table.get(_SEEN)
        stored = int.from_bytes(row, "big") if row is not None else 0
        changed = False
        if self._seen is None:
            self._seen = stored
        elif stored < self._stored:
            # Somebody makes the table again: what only stood there has to be read once more.
            self._seen = stored
            self._facts.clear()
            self._fresh.clear()
            changed = True
        self._stored = stored
        for entry in source.reflog(self._seen):
            self._seen = entry.seq
            if entry.new is None or not entry.name.startswith(_PREFIX):
                continue
            events = [event for segment in reversed(list(self._between(entry.new, entry.old))) for event in segment]
            for number, event in enumerate(events):
                self._apply(event, entry.seq << _PLACE_BITS | number)
            if events:
                changed = True
                if entry.name != self._own_ref:
                    self._others = max(self._others, (entry.seq + 1) << _PLACE_BITS)
                elif entry.seq > self._own_seen:
                    self._own_seen = entry.seq
                    del self._pending[: len(events)]
            if len(self._fresh) > _ROWS_AT_ONCE:
                self._flush()
        if changed:
            self._verdicts.clear()
            self._reset_overlay()
            for event in self._pending:
                self._overlay(event)

    def _between(self, new: bytes, old: bytes | None) -> Iterator[Sequence[HandleEvent]]:
        """Yield the events of each segment from `new` back to, but without, `old`."""
        at: bytes | None = new
        while at is not None and at != old:
            try:
                data = self._source.get(at)
                if data[3] & Flag.HANDLES or old is None or old not in links(data)[:2]:
                    segment = decode_segment(data)
                    yield segment.handles
                    at = segment.parent
                else:
                    # By far the most: one commit of a run that had nothing to say of handles.
                    return
            except RedunError:
                # Damaged or collected: states that only it knew count as never reached, so their calls run again.
                return

    def _apply(self, event: HandleEvent, place: int) -> None:
        """Note a committed event."""
        state = event.state
        facts = self._load(state)
        mark = place.to_bytes(12, "big")
        if event.parents is None:
            facts.branched = max(facts.branched, place)
            self._fresh[state + b"r" + mark] = b""
            return
        facts.reached = max(facts.reached, place)
        self._fresh[state + b"a" + mark] = b""
        for parent in event.parents:
            self._fresh[state + b"p" + parent] = b""
            self._fresh[parent + b"c" + state] = b""
        self._link(event)

    def _flush(self) -> None:
        if self._fresh and self._seen is not None:
            rows: Iterable[tuple[bytes, bytes]] = sorted(self._fresh.items())
            # One write, all or nothing: what was seen is never ahead of the rows.
            self._table.put_many([*rows, (_SEEN, self._seen.to_bytes(8, "big"))])
            self._stored = self._seen
            self._fresh.clear()
