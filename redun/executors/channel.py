"""The pipe between the dispatcher and a worker: plain tuples, framed, any number of them for one system call.

`multiprocessing.connection.Connection` has the same duty at several times the price: it makes a pickler with tables of its own for each
message, and a selector for each question whether there is another one. Here a frame is the length of its body, 8 bytes little-endian,
and the body: a pickle of tuples, lists, dicts, numbers, text and bytes, which both ends trust.
"""

from __future__ import annotations

import os
import pickle
import struct
from multiprocessing.connection import Connection
from typing import Any

_LENGTH = struct.Struct("<Q")
_READ_BYTES = 1 << 14
_READ_MOST_BYTES = 1 << 24


class Channel:
    """One end. One thread sends, one receives.

    Args:
        connection: the pipe, which stays the owner of its descriptor.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._number = connection.fileno()
        self._pending = bytearray()

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self._number

    def send(self, message: Any) -> None:
        """Send a message; blocks while the other end does not read and the pipe is full.

        Raises:
            OSError: the other end is closed.
        """
        body = pickle.dumps(message, 5)
        frame = memoryview(_LENGTH.pack(len(body)) + body)
        sent = os.write(self._number, frame)
        while sent < len(frame):
            sent += os.write(self._number, frame[sent:])

    def receive(self) -> list[Any]:
        """Take what is there, with one system call; waits only if nothing is. The last message may not be whole yet.

        Raises:
            EOFError, OSError: the other end is closed.
        """
        pending = self._pending
        data = os.read(self._number, _READ_BYTES if not pending else _READ_MOST_BYTES)
        if not data:
            raise EOFError
        pending += data
        messages = []
        at = 0
        with memoryview(pending) as view:
            while len(pending) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(pending, at)
                begin = at + _LENGTH.size
                if len(pending) - begin < length:
                    break
                at = begin + length
                messages.append(pickle.loads(view[begin:at]))
        del pending[:at]
        return messages

    def rest(self) -> list[Any]:
        """Take what is there still, the other end being closed: whole messages only."""
        messages = []
        try:
            while self.connection.poll():
                messages.extend(self.receive())
        except (EOFError, OSError):
            pass
        return messages

    def close(self) -> None:
        """Close this end."""
        self.connection.close()
