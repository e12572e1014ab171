"""Commands that are run as scripts on executors: what `redun launch` and federated tasks do."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redun.config import Config
    from redun.executors.base import Executor


def put_redun_on_path() -> None:
    """Let commands that this process starts find `redun`, if they could not: it stands beside the Python that runs us."""
    if shutil.which("redun") is None:
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])


def scratch_folder(config: Config, executor: Executor) -> str:
    """Return the folder or URL for files that go to an executor and come from it: `scratch` of its section, else what the executor says.

    On this machine that is a folder beside the configuration.
    """
    from redun.executors.local import LocalExecutor

    section = (config.get("executors") or {}).get(executor.name) or {}
    given = section.get("scratch")
    if given is None and isinstance(executor, LocalExecutor) and config.configdir:
        return os.path.join(config.configdir, "scratch")
    return str(given) if given is not None else executor.scratch_root()


def launch_script(
    config: Config,
    script_command: list[str] | str,
    executor: Executor | None = None,
    executor_name: str | None = None,
    task_options: dict[str, Any] | None = None,
    execution_id: str | None = None,
) -> None:
    """Run a command on an executor; nothing of it is recorded or taken from the cache.

    It returns when the executor has taken the command; one on this machine has when the command has ended.

    Args:
        config: has the executor's section.
        script_command: words, or the text of a script.
        executor: the executor, or
        executor_name: the name of a section `[executors.NAME]`.
        task_options: options of the job, such as memory.
        execution_id: UUID of the execution that starts it; a new one by default.

    Raises:
        ExecutorError: there is no such executor.
        ScriptError: the command failed.
    """
    from redun.scheduler_setup import make_scheduler
    from redun.scripting import script_task

    text = shlex.join(script_command) if isinstance(script_command, list) else script_command
    put_redun_on_path()
    scheduler = make_scheduler(config, None)
    if executor is not None:
        scheduler.add_executor(executor)
        executor_name = executor.name
    options = {**(task_options or {}), "executor": executor_name or "default"}
    scheduler.run(script_task.options(**options)(text), cache=False, execution_id=execution_id)
