"""Push many small objects to S3, served by moto on this machine, and pull them again; requests are counted at the client.

Arguments: how many objects, and a folder.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from redun.store.ids import object_id
from redun.store.objects import Codec, Kind, header, with_links
from redun.store.remote.backends.s3 import S3Backend
from redun.store.remote.log import Writer
from redun.store.remote.mirror import Mirror
from redun.store.remote.pull import pull
from redun.store.remote.push import push
from redun.store.remote.remote import Remote
from redun.store.repository import Store
from redun.store.sources.base import Batch, RefUpdate
from tests.examples.servers import s3_server

OBJECT_BYTES = 300


class Client:
    """A store and its remote; counts and times what it does."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder)
        self.figures: dict[str, float] = {}

    def fill(self, count: int) -> None:
        """Put objects into the store, and one that leads to all of them, under a ref."""
        empty = header(Kind.VALUE, Codec.RAW)
        objects = {}
        for _ in range(count):
            data = empty + os.urandom(OBJECT_BYTES - len(empty))
            objects[object_id(data)] = data
        data = with_links(Kind.VALUE, Codec.RAW, 0, list(objects), b"")
        top = object_id(data)
        self.store.source.commit(Batch({**objects, top: data}, refs=[RefUpdate(f"pins/{top.hex()}", None, top)]))

    def do(self, name: str, work: Any) -> int:
        """Do something with a remote opened anew; keep requests, CPU and wall clock under a name; return the number of objects."""
        requests = 0

        def count(**event: Any) -> None:
            nonlocal requests
            requests += 1

        backend = S3Backend("s3://bench/team")
        backend.client.meta.events.register("before-send.s3", count)
        began, wall = time.process_time(), time.perf_counter()
        remote = Remote("team", backend, Mirror(self.store.mirror_source("team")), Writer(self.store.identity(), "bench"))
        with remote:
            done = work(self.store.source, remote)
        self.figures[f"{name}.requests"] = requests
        self.figures[f"{name}.cpu"] = time.process_time() - began
        self.figures[f"{name}.wall"] = time.perf_counter() - wall
        return int(done.objects)


def push_all(source: Any, remote: Remote) -> Any:
    """Push every ref."""
    return push(source, remote, dict(source.refs()))


def pull_all(source: Any, remote: Remote) -> Any:
    """Pull every ref."""
    assert remote.refresh()
    return pull(source, remote, remote.refs(), everything=True)


def main() -> None:
    """Measure."""
    count, folder = int(sys.argv[1]), Path(sys.argv[2])
    with s3_server(folder) as environ:
        os.environ.update(environ)
        import boto3

        boto3.client("s3").create_bucket(Bucket="bench")
        sender, receiver = Client(folder / "sender"), Client(folder / "receiver")
        sender.fill(count)
        moved = [
            sender.do("push", push_all),
            sender.do("push.again", push_all),
            receiver.do("pull", pull_all),
            receiver.do("pull.again", pull_all),
        ]
        if moved != [count + 1, 0, count + 1, 0]:
            sys.exit(f"{count + 1} objects were to be pushed and pulled, and then none: {moved}")
        print(json.dumps(sender.figures | receiver.figures))


main()
