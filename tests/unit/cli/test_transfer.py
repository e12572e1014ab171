"""What push and pull show while they go on, and the words of their command line."""

from __future__ import annotations

import io

import click
import pytest

from redun.cli.transfer import TransferProgress, format_size, split_repo
from redun.remotes import parse_rate
from redun.store.remote.throttle import Throttle
from redun.store.remote.url import hide, shown


def test_a_terminal_sees_objects_bytes_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("redun.cli.transfer.time.monotonic", lambda: clock[0])
    shown_to = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown_to)
    progress = TransferProgress("pushing", lambda: 5_000_000, show=True)
    progress(10, 1000)
    assert shown_to.getvalue() == ""
    clock[0] += 2
    progress(990, 2_000_000)
    assert shown_to.getvalue().endswith("pushing: 1,000 objects, 2.0 MB, 2.5 MB/s")
    progress.clear()
    assert shown_to.getvalue().endswith("\r\x1b[K")


def test_nobody_else_sees_anything(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TransferProgress("pushing", lambda: 0)
    progress._next = 0.0
    progress(10, 1000)
    progress.clear()
    assert capsys.readouterr().err == ""


def test_sizes() -> None:
    assert [format_size(count) for count in (0, 1, 999, 1500, 2_500_000, 3e9)] == [
        "0 bytes",
        "1 byte",
        "999 bytes",
        "1.5 KB",
        "2.5 MB",
        "3.0 GB",
    ]


@pytest.mark.parametrize(("text", "rate"), [("500k", 5e5), ("10MB", 1e7), ("1.5m/s", 1.5e6), ("2GiB", 2 * 1024**3), ("7", 7)])
def test_rates(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "fast", "-1M", "0", "1T", "10 M B"])
def test_wrong_rates(text: str) -> None:
    with pytest.raises(ValueError, match="expected bytes a second"):
        parse_rate(text)


def test_bandwidth_is_held_to_on_average() -> None:
    now = [0.0]

    def pause(seconds: float) -> None:
        now[0] += seconds

    throttle = Throttle(1000.0, pause, lambda: now[0])
    for _ in range(50):
        throttle(100)
    # The first 100 bytes need not wait.
    assert now[0] == pytest.approx(4.9)
    assert throttle.total == 5000
    now[0] += 100
    before = now[0]
    throttle(100)
    assert now[0] == before


def test_which_word_is_the_repo() -> None:
    place = "/".__contains__
    assert split_repo(("team", "ab"), ["team", "x"], place) == ("team", ("ab",))
    assert split_repo(("ab", "cd"), ["team"], place) == ("team", ("ab", "cd"))
    assert split_repo((), ["team"], place) == ("team", ())
    assert split_repo(("/", "ab"), ["team", "x"], place) == ("/", ("ab",))
    for words, names in (((), []), ((), ["a", "b"]), (("c",), ["a", "b"])):
        with pytest.raises(click.UsageError):
            split_repo(words, names, place)


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("s3://bucket/x", "s3://bucket/x"),
        ("ftp://me:pass@host/x", "ftp://me:***@host/x"),
        ("ssh://me@host/x", "ssh://me@host/x"),
        ("https://acc.blob/x?sv=1&sig=abc%2Fdef", "https://acc.blob/x?sv=1&sig=***"),
        ("/some/folder?token=x", "/some/folder?token=x"),
        ("ftp://me:p@ss:w@host/x", "ftp://me:***@host/x"),
    ],
)
def test_secrets_are_not_shown(url: str, text: str) -> None:
    assert shown(url) == text


def test_secrets_are_cut_out_of_what_libraries_say() -> None:
    assert hide("cannot log in with hunter2", "ftp://me:hunter2@host/x") == "cannot log in with ***"
