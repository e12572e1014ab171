"""zstd frames, each with a limit: how bytes are compressed in packs, indexes and bundles.

    compressed size (4, big-endian) | raw size (4) | zstd frame         ...         | 0 (4) | 0 (4)

A reader knows what a frame will become before it expands it, and refuses what is more than `FRAME_LIMIT`, or whose own header says
something else. So no input makes it take more memory than that, however often it says that a frame expands to a terabyte. The end
is stated, so a file that was cut off is noticed.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO

from redun.store.errors import RemoteDamaged

FRAME_BYTES = 256 << 10
"""Raw bytes in a frame, as they are written: what has to be fetched for a small object."""
FRAME_LIMIT = 4 << 20
"""Raw bytes in a frame at most, as they are read."""
LEVEL = 1

HEAD = struct.Struct(">II")
END = HEAD.pack(0, 0)
_local = threading.local()


def compress(raw: bytes | memoryview) -> bytes:
    """Return one frame with its head."""
    packer = getattr(_local, "packer", None)
    if packer is None:
        import zstandard

        packer = _local.packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=True)
    data: bytes = packer.compress(raw)
    return HEAD.pack(len(data), len(raw)) + data


def check_head(packed: int, raw: int, where: str) -> None:
    """Refuse sizes that no frame has.

    Raises:
        RemoteDamaged: says which.
    """
    # What cannot be compressed grows by at most 1/256 and a few bytes.
    if not 0 < raw <= FRAME_LIMIT or not 0 < packed <= raw + (raw >> 8) + 512:
        raise RemoteDamaged(
            f"{where}: a frame says that {packed:,} bytes become {raw:,}, at most {FRAME_LIMIT:,} are allowed: it is damaged or "
            "made to harm"
        )


def expand(data: bytes | memoryview, raw: int, where: str) -> bytes:
    """Return the raw bytes of one frame without its head.

    Args:
        raw: how many there must be; at most that much is ever expanded.
        where: what it is a part of, for messages.

    Raises:
        RemoteDamaged: it is no frame, or has another size.
    """
    import zstandard

    unpacker: Any = getattr(_local, "unpacker", None)
    if unpacker is None:
        unpacker = _local.unpacker = zstandard.ZstdDecompressor(max_window_size=2 * FRAME_LIMIT)
    try:
        if zstandard.frame_content_size(data) != raw:
            raise RemoteDamaged(f"{where}: a frame does not have the size that is stated: it is damaged or made to harm")
        found: bytes = unpacker.decompress(data, max_output_size=raw, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RemoteDamaged(f"{where}: a frame cannot be expanded: {error}") from error
    if len(found) != raw:
        raise RemoteDamaged(f"{where}: a frame has {len(found):,} bytes, expected {raw:,}: it is damaged")
    return found


def read_exactly(source: BinaryIO, size: int, where: str) -> bytes:
    """Read so many bytes.

    Raises:
        RemoteDamaged: there are fewer.
    """
    data = source.read(size)
    while len(data) < size:
        more = source.read(size - len(data))
        if not more:
            raise RemoteDamaged(f"{where}: it ends too early, it was cut short: get it again")
        data += more
    return data


def read_frames(source: BinaryIO, where: str, limit: int) -> Iterator[bytes]:
    """Yield the raw bytes of each frame up to the stated end.

    Args:
        limit: raw bytes that all of them may have together.

    Raises:
        RemoteDamaged: damaged, cut short, or more than the limit.
    """
    total = 0
    while True:
        packed, raw = HEAD.unpack(read_exactly(source, HEAD.size, where))
        if packed == raw == 0:
            return
        check_head(packed, raw, where)
        total += raw
        if total > limit:
            raise RemoteDamaged(f"{where}: it expands to more than {limit:,} bytes: it is damaged or made to harm")
        yield expand(read_exactly(source, packed, where), raw, where)


def write_frames(raw: bytes, size: int = 1 << 20) -> bytes:
    """Return bytes as frames, with their end."""
    view = memoryview(raw)
    return b"".join([*(compress(view[at : at + size]) for at in range(0, len(view), size)), END])
