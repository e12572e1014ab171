"""Numbers of the extensions of the language layer; see also `redun.store.codec.Ext` and docs/format.md."""

from __future__ import annotations

from enum import IntEnum


class UserExt(IntEnum):
    """Extension types above those of plain data. Never reuse a number."""

    NODE = 32
    LINK = 33
    QUOTED = 34
    VALUE = 35
    NAMEDTUPLE = 37
    DATACLASS = 38
    ENUM = 39
    FUNCTION = 40
    CLASS = 41
    OBJECT = 42
    PICKLE = 43
    CODEC = 44
    BUFFER = 45
    BLOCK = 46
    PICKLEPARTS = 47
    LONG = 48
    CONTENT = 49
