"""`redun` as a process: the one place where errors become messages and exit statuses.

Little is imported here: what reads a command line (`redun.cli.verbs`, and click) is when there is one to be read.
"""

from __future__ import annotations

import atexit
import os
import sys
from types import ModuleType

from redun.version import __version__

# As `typing.TYPE_CHECKING`; `typing` itself takes longer than all that `redun --version` does.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from redun.cli.session import Session


def _remove_temporary() -> None:
    """Remove the folder where multiprocessing keeps sockets; at other ends Python does."""
    process = sys.modules.get("multiprocessing.process")
    folder = None if process is None else process.current_process()._config.get("tempdir")
    if folder:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: the words after the program's name; those of this process by default.

    Returns:
        The exit status.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if "_REDUN_COMPLETE" in os.environ:
        try:
            from redun.cli.verbs import group

            group.main(args, prog_name="redun")
        except Exception:
            # Nobody wants to read of it between two keys.
            return 1
    # A stream that is closed takes nothing, and that is no reason to fail.
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character is no reason to fail.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    session: Session | None = None
    try:
        if args in (["--version"], ["-V"]):
            # Programs ask this at their own start; alone it needs no parser.
            print(__version__, flush=True)
            return 0
        from redun.cli.session import Session

        session = Session(tuple(args), owns_process=argv is None)
        if argv is None:
            from redun.garbage import collect_seldom

            collect_seldom()
            # The first to be registered is called last, when Python will not run handlers any more.
            atexit.register(_ignore_signals)
        status = invoke(args, session)
        sys.stdout.flush()
        if argv is None:
            _leave_when_interrupted()
        return status
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt) and argv is None:
            _leave_when_interrupted()
        from redun.cli.errors import INTERRUPTED, report

        debug, colour = (False, None) if session is None else (session.log_level == "DEBUG", session.colour)
        status = report(error, debug, colour)
        if status == INTERRUPTED and argv is None:
            _leave(status)
        return status


def _leave(status: int) -> None:
    """End, not waiting for threads that tasks have started, as Python would."""
    try:
        _remove_temporary()
    finally:
        os._exit(status)


def _leave_when_interrupted() -> None:
    """All is done, or was interrupted before: while that is told, or Python waits for threads of tasks, Ctrl-C just leaves."""
    from redun.cli.errors import INTERRUPTED

    _handle(lambda *_: _leave(INTERRUPTED))


def _ignore_signals() -> None:
    import signal

    _handle(signal.SIG_IGN)


def _handle(handler: Any) -> None:
    import signal
    import threading

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.getsignal(number)
            if before is signal.default_int_handler or (callable(before) and before.__module__ == __name__):
                signal.signal(number, handler)


def invoke(args: list[str], session: Session) -> int:
    """Run a command line in a session; the caller tells of errors. Returns the exit status."""
    import click

    from redun.cli.verbs import group

    session.settle()
    # Not group.main(): it would turn Ctrl-C and closed pipes into exits of its own.
    try:
        with group.make_context("redun", args, obj=session) as context:
            found: Any = group.invoke(context)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    return found if isinstance(found, int) else 0


class _Main(ModuleType):
    """This module, which can be called: scripts for the existing package have `from redun.cli import main; main()`."""

    def __call__(self) -> None:
        """Run the command line of this process; it ends with the status if that is not 0."""
        if status := main():
            sys.exit(status)


sys.modules[__name__].__class__ = _Main

if __name__ == "__main__":
    sys.exit(main())
