"""What the options before the verb say, for the commands: which configuration, how much to tell."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from redun.cli.errors import FAILED, CommandError, tell_failure, warn
from redun.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from redun.cli.screen import Screen
    from redun.config import Config
    from redun.evaluation.scheduler import Scheduler
    from redun.remotes import Repo
    from redun.store.repository import Store

MOST_FORKS = 30
LOG_LEVELS = ("ERROR", "WARN", "INFO", "DEBUG")


class Session:
    """One invocation of `redun`.

    Attributes:
        config_dir: folder given by `--config`, if any.
        repo: the repo given by `--repo`, if any.
        log_level: one of LOG_LEVELS.
        argv: the command line after the program's name, to be recorded.
        setup: texts `name=value` for the configuration's setup function.
        result: what the workflow returned, for whoever runs commands from Python.
        failure: the error that it failed with, already told.
        scheduler: the scheduler that ran it.
        colour: what the user says of colours, None for nothing.
        screen: the terminal, while a run shows itself there.
        owns_process: True if the process is here for this invocation only.
    """

    def __init__(
        self,
        argv: tuple[str, ...] = (),
        *,
        config_dir: str | None = None,
        log_level: str = "INFO",
        owns_process: bool = False,
    ) -> None:
        self.config_dir = config_dir
        self.owns_process = owns_process
        self.repo: str | None = None
        self.log_level = log_level
        self.argv = argv
        self.setup: tuple[str, ...] = ()
        self.result: Any = None
        self.failure: BaseException | None = None
        self.scheduler: Scheduler | None = None
        self.colour: bool | None = None
        self.screen: Screen | None = None
        self._settled = False

    def settle(self, *, last: bool = False) -> None:
        """Keep what has been imported by now out of collections of garbage, which take longer at Python's end than a small command.

        Args:
            last: code of the user's comes next. What it leaves behind has to be collected: files may be flushed only then.
        """
        if self.owns_process and not self._settled:
            from redun.garbage import set_aside

            set_aside()
            self._settled = last

    @property
    def logs(self) -> bool:
        """True if the lines of a run are to be shown."""
        return self.log_level in ("INFO", "DEBUG")

    def wants_colour(self, stream: TextIO) -> bool:
        """Tell whether what goes to a stream is to have colours."""
        from redun.cli.terminal import wants_colour

        return wants_colour(stream, self.colour)

    def log(self, text: str) -> None:
        """Write a line of the log to standard error."""
        if self.logs:
            # A log that nobody can read, on a full disk say, must not stop what it tells of.
            with contextlib.suppress(OSError):
                sys.stderr.write(f"[redun] {text}\n")
                sys.stderr.flush()

    def find_folder(self) -> Path:
        """Return the configuration folder that counts; it may not exist yet."""
        from redun.config import find_folder

        return find_folder(self.config_dir)

    def announce(self, folder: Path) -> None:
        """Say which redun this is and which configuration it uses."""
        self.log(f"redun :: version {__version__}")
        self.log(f"config dir: {folder}")

    def load_config(self, folder: Path) -> Config:
        """Read and check the configuration of a folder, and tell of what in it nobody reads."""
        from redun.config import load_config

        config = load_config(folder)
        for warning in config.check():
            if self.log_level != "ERROR":
                warn(warning)
        return config

    def make_scheduler(self, config: Config, store: Store | None) -> Scheduler:
        """Make the scheduler, as the configuration and `--setup` say."""
        from redun.scheduler_setup import make_scheduler

        self.scheduler = make_scheduler(config, store, self.setup, logger=None if self.logs else False)
        self.scheduler.all_frames = self.log_level == "DEBUG"
        return self.scheduler

    def failed(self, error: BaseException) -> int:
        """Note that the workflow has failed. The scheduler's log tells of it, with jobs; where no log is shown it is told here.

        Returns:
            The exit status.
        """
        self.failure = error
        if not self.logs:
            tell_failure(error, colour=self.colour)
        return FAILED

    def open_store(
        self,
        folder: Path | None = None,
        config: Config | None = None,
        *,
        create: bool = False,
        write: bool = False,
        local: bool = False,
    ) -> Store:
        """Open the store, or the repo that `--repo` names.

        Args:
            folder, config: the configuration, if the caller has it already.
            create: make the store if it is not there.
            write: it must be writable.
            local: the store here, whatever `--repo` says.

        Raises:
            CommandError: there is no configuration folder.
            StoreUnavailable: it is not there, or cannot be written though `write` is set.
        """
        folder = folder if folder is not None else self.find_folder()
        if not create and not folder.exists():
            raise CommandError(
                f"nothing has been run here yet, there is no {str(folder)!r}: 'redun run' or 'redun init' makes it"
            )
        config = config if config is not None else self.load_config(folder)
        if self.repo is not None and not local:
            return self._open_repo(self.repo, folder, config, write)
        store = self._open(folder, config, create)
        self.settle()
        if write and store.readonly:
            from redun.errors import StoreUnavailable

            store.close()
            raise StoreUnavailable(
                f"store {str(store.folder)!r} is read-only: give another folder with --config or REDUN_CONFIG"
            )
        if store.detected:
            self.log(
                f"store {str(store.folder)!r} is on a network file system: exclusive mode, one process at a time; "
                "a local path in [backend] path is faster"
            )
        return store

    def _open(self, folder: Path, config: Config, create: bool) -> Store:
        from redun.config import open_store
        from redun.errors import SamePid

        for _ in range(MOST_FORKS if self.owns_process else 0):
            try:
                return open_store(folder, config, create=create)
            except SamePid:
                from redun.cli.another_process import go_on_as_child

                go_on_as_child()
        return open_store(folder, config, create=create)

    def find_repo(self, config: Config, name: str) -> Repo:
        """Return a repo by name, or the one that a URL or path stands for.

        Raises:
            CommandError: there is none of that name.
        """
        from redun.remotes import RepoError, find_repo

        try:
            return find_repo(config, name)
        except RepoError as error:
            raise CommandError(str(error)) from None

    def _open_repo(self, name: str, folder: Path, config: Config, write: bool) -> Store:
        from redun.config import open_store
        from redun.remotes import open_other_store, open_remote
        from redun.store.remote.source import RemoteStore

        repo = self.find_repo(config, name)
        if repo.config_dir:
            return open_other_store(repo, write=write)
        if write:
            raise CommandError(
                f"repo {repo.name!r} is a remote, which option --repo can only look at: 'redun push' writes to it"
            )
        store = open_store(folder, config)
        try:
            remote = open_remote(store, repo)
        except BaseException:
            store.close()
            raise
        try:
            if not remote.refresh():
                raise CommandError(f"repo {repo.name!r} at {repo.place} is empty: nobody has pushed there yet")
        except BaseException:
            remote.close()
            store.close()
            raise
        from redun.trust import Trust

        return RemoteStore(remote, store, foreign=not Trust(store, repo).everybody)


_F = TypeVar("_F")


def _take_colour(context: click.Context, parameter: click.Parameter, value: bool | None) -> None:
    if value is not None:
        context.ensure_object(Session).colour = value


def colour_option(function: _F) -> _F:
    """Add `--color/--no-color` to a command."""
    import click

    option = click.option(
        "--color/--no-color",
        "color",
        default=None,
        expose_value=False,
        callback=_take_colour,
        help="Colours: on a terminal unless NO_COLOR is set.",
    )
    decorated: _F = option(function)  # type: ignore[type-var]
    return decorated


def current_session() -> Session:
    """Return the session of the command that is running; one with defaults outside of any."""
    import click

    context = click.get_current_context(silent=True)
    found = context.find_object(Session) if context is not None else None
    return found if found is not None else Session()
