"""The command line from Python: `RedunClient().execute(["redun", "run", ...])`, and what scripts and tests import from `redun.cli`.

A facade over the click commands, under the names that scripts for the existing package use.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from redun.cli.errors import USAGE, CommandError, report
from redun.cli.main import invoke
from redun.cli.session import Session
from redun.config import FOLDER, INI, VARIABLE
from redun.modules import import_script
from redun.scheduler_setup import parse_func_path, parse_setup_args

if TYPE_CHECKING:
    from redun.config import Config
    from redun.evaluation.scheduler import Scheduler

RedunClientError = CommandError
REDUN_CONFIG_ENV = VARIABLE
REDUN_CONFIG_DIR = FOLDER
REDUN_INI_FILE = INI


class RedunClient:
    """Runs command lines in this process.

    Args:
        stdout, stderr: where output goes; standard output and error as they are at the time if None.

    Attributes:
        scheduler: the scheduler of the last command that made one.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.scheduler: Scheduler | None = None

    def execute(self, argv: Sequence[str] | None = None) -> Any:
        """Run a command line.

        Args:
            argv: the command line with the program's name; that of this process by default.

        Returns:
            What the workflow returned, for `run`; None for other commands.

        Raises:
            RedunClientError: the command refuses.
            RedunError: store, configuration, ...
            SystemExit: the command line cannot be read, or a dry run found jobs that would run.
            Exception: whatever the workflow's failing task raised.
        """
        from redun.errors import DryRunResult

        args = list(sys.argv if argv is None else argv)[1:]
        session = Session(argv=tuple(args))
        with self._redirected():
            try:
                status = invoke(args, session)
            except click.ClickException as error:
                report(error)
                raise SystemExit(USAGE) from error
            finally:
                self.scheduler = session.scheduler or self.scheduler
            if isinstance(session.failure, DryRunResult):
                raise SystemExit(status)
            if session.failure is not None:
                raise session.failure
            if status:
                raise SystemExit(status)
        return session.result

    @contextlib.contextmanager
    def _redirected(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            if self.stdout is not None:
                stack.enter_context(contextlib.redirect_stdout(self.stdout))
            if self.stderr is not None:
                stack.enter_context(contextlib.redirect_stderr(self.stderr))
            yield


def find_config_dir(cwd: str | None = None) -> str | None:
    """Return the nearest `.redun` in a folder (the working folder by default) or above it."""
    here = Path(cwd) if cwd is not None else Path.cwd()
    for folder in (here, *here.parents):
        if os.path.exists(folder / FOLDER):
            return str(folder / FOLDER)
    return None


def get_config_dir(config_dir: str | None = None) -> str:
    """Return the configuration folder that counts: the one given, of `REDUN_CONFIG`, the nearest `.redun`, else `.redun` here."""
    return config_dir or os.environ.get(VARIABLE) or find_config_dir() or FOLDER


def get_config_path(config_dir: str | None = None) -> str:
    """Return the path of the redun.ini that counts."""
    return os.path.join(get_config_dir(config_dir), INI)


def setup_config(config_dir: str | None = None, initialize: bool = True) -> Config:
    """Return the configuration that counts.

    Args:
        initialize: make it if it is not there.

    Raises:
        RedunClientError: it is not there.
        ConfigError: it cannot be read.
    """
    from redun.config import load_config, make_folder

    folder = Path(get_config_dir(config_dir)).absolute()
    if not (folder / INI).exists() and not initialize:
        raise RedunClientError(f"there is no {str(folder / INI)!r}: 'redun init' makes it")
    make_folder(folder)
    return load_config(folder)


def setup_scheduler(
    config_dir: str | None = None,
    setup_args: Iterable[str] | None = None,
    repo: str = "default",
    migrate: bool | None = None,
    migrate_if_local: bool = False,
) -> Scheduler:
    """Return the scheduler of a configuration, its store open, both made if they are not there.

    Args:
        config_dir: the folder; by default the one that counts here.
        setup_args: texts `name=value` for the configuration's setup function.
        repo: "default", or a repo of the configuration that is another `.redun`.
        migrate, migrate_if_local: accepted, there is no database to be migrated.

    Raises:
        ConfigError: the configuration cannot be served.
        StoreError: the store cannot be opened.
    """
    from redun.config import open_store
    from redun.scheduler_setup import make_scheduler

    config = setup_config(config_dir)
    if repo != "default":
        from redun.remotes import open_other_store

        found = Session().find_repo(config, repo)
        if not found.config_dir:
            raise RedunClientError(f"repo {repo!r} is a remote, a scheduler needs a store: pull from it instead")
        return make_scheduler(config, open_other_store(found, write=True), setup_args or ())
    return make_scheduler(config, open_store(config.configdir, config), setup_args or ())


def get_user_setup_func(config: Config) -> Any:
    """Return the function that makes the scheduler of a configuration."""
    from redun.evaluation.scheduler import Scheduler
    from redun.scheduler_setup import setup_function

    return setup_function(config) or (lambda config: Scheduler(config=config))


def check_version(version: str, version_spec: str) -> bool:
    """Tell whether a version fits a requirement such as `>=0.1,<1`.

    Raises:
        ValueError: one of them cannot be read.
    """
    from redun.cli.versions import fits

    parse_version(version)
    try:
        return fits(version, version_spec)
    except CommandError as error:
        raise ValueError(str(error)) from None


def parse_version(version: str) -> tuple[int, ...]:
    """Return the numbers of a version.

    Raises:
        ValueError: it is no version of numbers with dots.
    """
    try:
        return tuple([int(part) for part in version.split(".")])
    except ValueError:
        raise ValueError(f"invalid version {version!r}: expected numbers with dots") from None


def is_python_filename(name: str) -> bool:
    """True if a name looks like that of a Python file."""
    return name.endswith(".py")


def arg_name2cli_name(arg_name: str) -> str:
    """Return the option of a parameter: `my_name` is `--my-name`."""
    return "--" + arg_name.lower().replace("_", "-")


def get_abs_path(path: str) -> str:
    """Return the absolute path of a local path; a URL as it is."""
    from redun.file import get_proto

    return os.path.abspath(path) if get_proto(path) == "local" else path


def get_username() -> str:
    """Return the name of the user whose executions are recorded here: `REDUN_USER`, else the one who runs this process."""
    from redun.cli.default_tags import user_name

    return user_name() or ""


def get_default_execution_tags(
    user: str | None = None, project: str | None = None, doc: str | None = None, exclude_users: Sequence[str] = ()
) -> list[tuple[str, Any]]:
    """Return the tags that `redun run` would give to an execution of code in the working folder.

    Args:
        exclude_users: accepted, users of clouds are not recorded.
    """
    from redun.cli.default_tags import execution_tags

    return execution_tags([], user, project, doc, None, Path())


def infer_project_name(task: Any) -> str | None:
    """Return the project of a task's executions, unless another is named: its namespace."""
    return task.namespace or None


def get_anno_origin(anno: Any) -> Any:
    """Return the main type of a generic type, such as `list` for `list[int]`; None for any other type."""
    import typing

    return typing.get_origin(anno)


def make_parse_arg_func(arg_anno: Any) -> Any:
    """Return a function that reads a text as a value of a type.

    The function raises ValueError for a text that does not fit.
    """

    def parse_arg(arg: str) -> Any:
        from redun.value import get_type_registry

        return get_type_registry().parse_arg(arg_anno, arg)

    return parse_arg


def format_id(id: str, detail: bool = False, prefix: int = 8) -> str:
    """Return an id as it is shown: its beginning, or whole."""
    return id if detail else id[:prefix]


def is_port_in_use(hostname: str, port: int | str) -> bool:
    """Tell whether something listens at a TCP port.

    Raises:
        ValueError: the port is no number.
    """
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            # A bound port counts, listening or not; the probe gives it back at once.
            probe.bind((hostname, int(port)))
        except OSError:
            return True
    return False


__all__ = [
    "REDUN_CONFIG_DIR",
    "REDUN_CONFIG_ENV",
    "REDUN_INI_FILE",
    "RedunClient",
    "RedunClientError",
    "arg_name2cli_name",
    "check_version",
    "find_config_dir",
    "format_id",
    "get_abs_path",
    "get_anno_origin",
    "get_config_dir",
    "get_config_path",
    "get_default_execution_tags",
    "get_user_setup_func",
    "get_username",
    "import_script",
    "infer_project_name",
    "is_port_in_use",
    "is_python_filename",
    "make_parse_arg_func",
    "parse_func_path",
    "parse_setup_args",
    "parse_version",
    "setup_config",
    "setup_scheduler",
]
