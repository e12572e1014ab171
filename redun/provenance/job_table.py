"""The jobs of an execution as columns of numbers: 90 bytes for a job, where records of their own take 450.

An execution may have millions, and whoever shows them looks at one after the other.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping

from redun.store.ids import ID_BYTES
from redun.store.journal import JOB_ID_BYTES, JobRecord, Status

_NO_CALL = bytes(ID_BYTES)
_DENSE = 1 << 24
"""Numbers below this are looked up in an array. Those of sub-runs are far beyond, and few."""
_STATUSES = {int(status): status for status in Status}


class JobTable(Mapping[int, JobRecord]):
    """Number of a job -> its record."""

    def __init__(self) -> None:
        self._numbers, self._parents, self._starts, self._durations = array("q"), array("q"), array("q"), array("q")
        self._task_places = array("I")
        self._statuses, self._ids, self._calls = bytearray(), bytearray(), bytearray()
        self._tasks: dict[bytes, int] = {}
        self._task_list: list[bytes] = []
        # Number -> row, plus 1: 0 for none.
        self._dense = array("I")
        self._far: dict[int, int] = {}

    def _row(self, number: int) -> int:
        """Return the row of a job, -1 if there is none."""
        if 0 <= number < len(self._dense):
            return self._dense[number] - 1
        return self._far.get(number, -1)

    def add(self, record: JobRecord) -> None:
        """Add a job, unless there is a record of it."""
        number, job_id, parent, task, start_us, duration_us, status, call = record
        if self._row(number) >= 0:
            return
        row = len(self._numbers)
        if 0 <= number < _DENSE:
            short = number + 1 - len(self._dense)
            if short > 0:
                self._dense.frombytes(bytes(self._dense.itemsize * max(short, 1024)))
            self._dense[number] = row + 1
        else:
            self._far[number] = row
        place = self._tasks.get(task)
        if place is None:
            place = self._tasks[task] = len(self._task_list)
            self._task_list.append(task)
        self._numbers.append(number)
        self._parents.append(parent)
        self._starts.append(start_us)
        self._durations.append(duration_us)
        self._task_places.append(place)
        self._statuses.append(status)
        self._ids += job_id
        self._calls += _NO_CALL if call is None else call

    def __getitem__(self, number: int) -> JobRecord:
        row = self._row(number)
        if row < 0:
            raise KeyError(number)
        return self._record(row)

    def _record(self, row: int) -> JobRecord:
        call = bytes(self._calls[row * ID_BYTES : (row + 1) * ID_BYTES])
        return JobRecord(
            self._numbers[row],
            bytes(self._ids[row * JOB_ID_BYTES : (row + 1) * JOB_ID_BYTES]),
            self._parents[row],
            self._task_list[self._task_places[row]],
            self._starts[row],
            self._durations[row],
            _STATUSES[self._statuses[row]],
            None if call == _NO_CALL else call,
        )

    def __iter__(self) -> Iterator[int]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self._row(number) >= 0

    def by_parent(self) -> dict[int, array[int]]:
        """Return number of a job -> those of its children by start time, then number. What has no parent here stands under 0."""
        starts, parents, numbers = self._starts, self._parents, self._numbers
        table: dict[int, array[int]] = {}
        for row in sorted(range(len(numbers)), key=lambda row: (starts[row], numbers[row])):
            number, parent = numbers[row], parents[row]
            # A parent whose record was lost must not hide its children.
            if parent == number or self._row(parent) < 0:
                parent = 0
            children = table.get(parent)
            if children is None:
                children = table[parent] = array("q")
            children.append(number)
        return table
