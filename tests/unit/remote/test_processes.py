"""Several processes of one machine at one remote: they share what is known of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from redun.store.remote.only_one import OnlyOne
from redun.store.repository import Store

from .conftest import Site
from .test_push_pull import pull_all, push_all

Sites = Callable[..., Site]

PULLER = """
    import sys, time
    from pathlib import Path
    from redun.store.remote.backends.folder import FolderBackend
    from redun.store.remote.log import Writer
    from redun.store.remote.mirror import Mirror
    from redun.store.remote.pull import pull
    from redun.store.remote.remote import Remote
    from redun.store.repository import Store
    store = Store.open(Path(sys.argv[1]))
    backend = FolderBackend(Path(sys.argv[2]))
    mirror = Mirror(store.mirror_source("team"), store.mirror_lock("team"))
    with Remote("team", backend, mirror, Writer(store.identity(), "x"), jobs=2) as remote:
        while len(store.source.refs()) < 12:
            if remote.refresh():
                pull(store.source, remote, remote.refs())
                store.source.refresh()
    print("done")
"""


def test_processes_take_turns_at_what_is_known(site: Sites, tmp_path: Path) -> None:
    a, b = site("a"), site("b")
    a.fill(20)
    push_all(a)
    b.store.close()
    words = [sys.executable, "-c", textwrap.dedent(PULLER), str(tmp_path / "b"), str(tmp_path / "remote")]
    pullers = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for _ in range(11):
        a.fill(20)
        push_all(a)
    for one in pullers:
        out, err = one.communicate(timeout=300)
        assert (one.returncode, out) == (0, "done\n"), err
    with Store.open(tmp_path / "b") as store:
        again = Site(store, a.backend)
        assert dict(store.source.refs()) == a.heads
        assert pull_all(again).objects == 0
        with again.remote() as remote:
            remote.refresh()
            names = [pack.name for pack in remote.mirror.packs()]
            assert len(names) == len(set(names)) == 12
            for oid in store.source.ids():
                assert remote.places([oid])[oid].pack in names


def test_a_lock_is_held_once_and_says_if_one_has_to_wait(tmp_path: Path) -> None:
    one, other = OnlyOne(tmp_path / "lock"), OnlyOne(tmp_path / "lock")

    class Waits(Exception):
        pass

    def waiting() -> None:
        raise Waits

    with one.held() as first, one.held() as second:
        assert (first, second) == (True, False)
        try:
            with other.held(waiting):
                raise AssertionError("both hold it")
        except Waits:
            pass
    with other.held(waiting) as free:
        assert free
    with OnlyOne(None).held() as free, OnlyOne(None).held():
        assert free
