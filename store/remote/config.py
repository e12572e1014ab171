"""The file `config` of a remote: what it is, and who may write there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from redun.store.errors import FormatTooNew, RemoteDamaged
from redun.store.remote.log import REMOTE_FORMAT

CONFIG_LIMIT = 64 << 10
IDS = "sha256-20"


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """What the file `config` of a remote says.

    Attributes:
        id: 16 random bytes.
        writer: id of the only store that may write there (16 bytes), empty if any may.
    """

    id: bytes
    writer: bytes = b""
    by: str = ""
    created: str = ""

    def encode(self) -> bytes:
        """Return the bytes of the file."""
        body: dict[str, Any] = {"redun": "remote", "format": REMOTE_FORMAT, "id": self.id.hex(), "ids": IDS}
        if self.writer:
            body["writer"] = self.writer.hex()
        body.update(by=self.by, created=self.created)
        return json.dumps(body, indent=1).encode() + b"\n"

    @classmethod
    def decode(cls, data: bytes, where: str) -> RemoteConfig:
        """Read the file.

        Raises:
            RemoteDamaged: it is something else; FormatTooNew: a newer redun wrote it.
        """
        try:
            body = json.loads(data)
            if not isinstance(body, dict) or body.get("redun") != "remote":
                raise ValueError("it is no configuration of a remote of redun")
            version = body["format"]
            if type(version) is int and version > REMOTE_FORMAT:
                raise FormatTooNew(
                    f"{where} has format {version}, this redun reads up to {REMOTE_FORMAT}: upgrade redun to use it"
                )
            if version != REMOTE_FORMAT or body.get("ids") != IDS:
                raise ValueError(f"format {version!r} with ids {body.get('ids')!r} is unknown")
            identity, writer = bytes.fromhex(body["id"]), bytes.fromhex(body.get("writer", ""))
            if len(identity) != 16 or len(writer) not in (0, 16):
                raise ValueError("its id is not valid")
            return cls(identity, writer, str(body.get("by", ""))[:200], str(body.get("created", ""))[:40])
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            if isinstance(error, FormatTooNew):
                raise
            raise RemoteDamaged(
                f"{where}: its file 'config' cannot be used: {error}: is something else there? choose an empty place"
            ) from error
