"""Tasks whose code is elsewhere: known here only by a section of the configuration.

    [federated_tasks.align]
    namespace = genomes
    task_name = align
    load_module = genomes.align       the module that defines it, where the executor runs
    executor = cluster
    config_dir = /shared/genomes/.redun
    new_execution = True              optional: an execution of its own
    description = Aligns reads.       optional

`federated_task("align", *args, **kwargs)` calls it as a sub-run on that executor. `launch_federated_task` starts it as a command of its
own, for servers that others ask to run it; `rest_federated_task` and `lambda_federated_task` are those who ask, over HTTP or by AWS Lambda.
"""

from __future__ import annotations

import json
import os
import pickle
import uuid
from typing import Any

from redun.errors import ConfigError, FederatedTaskError, RedunError
from redun.expression import SchedulerExpression
from redun.plain_text import str2bool
from redun.promise import Promise
from redun.task import get_task_registry, scheduler_task, task

_REQUIRED = frozenset(("config_dir", "executor", "load_module", "namespace", "task_name"))


class InvocationException(RedunError):
    """The server that was asked to run a task has refused."""


@scheduler_task(namespace="redun")
def federated_task(
    scheduler: Any, parent_job: Any, sexpr: SchedulerExpression[Any], entrypoint: Any, *task_args: Any, **task_kwargs: Any
) -> Promise[Any]:
    """Call a task that a section `[federated_tasks.<entrypoint>]` names.

    Since its code is not known here, results of earlier executions are not taken.

    Args:
        entrypoint: name of the section.
        task_args, task_kwargs: arguments of the task.

    Raises:
        FederatedTaskError: there is no such section, or something is missing in it.
    """
    from redun.errors import SchedulerError

    section = _section(scheduler.config, entrypoint)
    name = f"{section.pop('namespace')}.{section.pop('task_name')}"
    if section["executor"] not in scheduler.executors:
        raise SchedulerError(
            f'Unknown executor "{section["executor"]}" in section [federated_tasks.{entrypoint}]: '
            f"expected one of {', '.join(scheduler.executors)}"
        )
    if "new_execution" in section:
        section["new_execution"] = str2bool(section["new_execution"])

    def call(arguments: list[Any]) -> Any:
        from redun.subrun import subrun
        from redun.task import CacheScope

        module = section.pop("load_module")
        return scheduler.evaluate(
            subrun(
                federated_call(name, module, *arguments),
                executor=section.pop("executor"),
                load_modules=[__name__, module],
                cache_scope=CacheScope.CSE,
                **section,
            ),
            parent_job=parent_job,
        )

    # Here, for what they call may not be known over there.
    found: Promise[Any] = scheduler.evaluate([task_args, task_kwargs], parent_job=parent_job).then(call)
    return found


@task(namespace="redun", version="1")
def federated_call(name: str, load_module: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call a task by its name, where its code is: the root of the sub-run."""
    from importlib import import_module

    import_module(load_module)
    return get_task_registry().require(name)(*args, **kwargs)


def _section(config: Any, entrypoint: str) -> dict[str, Any]:
    """Return the options of a federated task."""
    sections = config.get("federated_tasks") or {}
    if entrypoint not in sections:
        raise FederatedTaskError(
            f"Could not find the entrypoint `{entrypoint}`: expected a section [federated_tasks.{entrypoint}], "
            f"found {', '.join(sections) or 'none'}"
        )
    section = dict(sections[entrypoint])
    missing = _REQUIRED.difference(section)
    if missing:
        raise FederatedTaskError(
            f"Federated task entry `{entrypoint}` does not have the required keys, missing `{set(missing)}`: "
            f"set them in section [federated_tasks.{entrypoint}]"
        )
    # Words for people must not make another call of the same one.
    section.pop("description", None)
    return section


def _package(
    scratch_prefix: str, config_name: str, entrypoint: str, args: tuple[Any, ...], kwargs: dict[str, Any], cache: bool
) -> tuple[str, dict[str, Any]]:
    """Write the arguments where the server will read them; return the id of the execution and the message to the server."""
    execution_id = str(uuid.uuid4())
    input_path = _write_input(scratch_prefix, execution_id, args, kwargs)
    return execution_id, {
        "config_name": config_name,
        "entrypoint": entrypoint,
        "input_path": input_path,
        "execution_id": execution_id,
        "cache": cache,
    }


def _write_input(scratch: str, execution_id: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    from redun.file import File

    path = f"{scratch.rstrip('/')}/execution/{execution_id}/input"
    with File(path).open("wb") as stream:
        stream.write(pickle.dumps([args, kwargs]))
    return path


@scheduler_task(namespace="redun")
def rest_federated_task(
    scheduler: Any,
    parent_job: Any,
    sexpr: SchedulerExpression[Any],
    /,
    config_name: str,
    entrypoint: str,
    url: str,
    scratch_prefix: str,
    dryrun: bool,
    *task_args: Any,
    cache: bool = True,
    **task_kwargs: Any,
) -> Promise[tuple[str, dict[str, Any]]]:
    """Ask a server, by a POST of form data, to run a federated task of its own. Its result does not come back.

    Args:
        config_name: which of its configurations the server is to use.
        entrypoint: name of the section there.
        url: where to post to.
        scratch_prefix: folder or URL that both can reach; the arguments are written there.
        dryrun: write the arguments, but ask nobody.
        cache: False to have every job run again.

    Returns:
        The id of the execution, and the message.
    """
    execution_id, message = _package(scratch_prefix, config_name, entrypoint, task_args, task_kwargs, cache)
    if not dryrun:
        _post(url, message)
    return _settled((execution_id, message))


def _post(url: str, message: dict[str, Any]) -> None:
    import urllib.error
    import urllib.parse
    import urllib.request

    try:
        with urllib.request.urlopen(url, data=urllib.parse.urlencode(message).encode()):
            pass
    except (OSError, ValueError) as error:
        raise InvocationException(f"server {url!r} cannot be asked to run a federated task: {error}") from error


@scheduler_task(namespace="redun")
def lambda_federated_task(
    scheduler: Any,
    parent_job: Any,
    sexpr: SchedulerExpression[Any],
    /,
    config_name: str,
    entrypoint: str,
    lambda_function_name: str,
    scratch_prefix: str,
    dryrun: bool,
    *task_args: Any,
    cache: bool = True,
    **task_kwargs: Any,
) -> Promise[tuple[str, dict[str, Any]]]:
    """Ask an AWS Lambda function to run a federated task; as `rest_federated_task` otherwise.

    Args:
        lambda_function_name: the function to invoke with the message.
    """
    execution_id, message = _package(scratch_prefix, config_name, entrypoint, task_args, task_kwargs, cache)
    if not dryrun:
        _invoke_lambda(lambda_function_name, message)
    return _settled((execution_id, message))


def _invoke_lambda(name: str, message: dict[str, Any]) -> None:
    import boto3

    from redun.boto import make_boto_config

    client = boto3.client("lambda", region_name=os.environ.get("AWS_REGION"), config=make_boto_config())
    answer = client.invoke(FunctionName=name, Payload=json.dumps(message))
    if answer["StatusCode"] not in (200, 202) or answer.get("FunctionError"):
        raise InvocationException(
            f"lambda function {name!r} failed: {answer.get('FunctionError')}: {answer['Payload'].read()!r:.500}"
        )


def _settled(value: Any) -> Promise[Any]:
    promise: Promise[Any] = Promise()
    promise.do_resolve(value)
    return promise


def launch_federated_task(
    federated_config_path: str,
    entrypoint: str,
    task_args: tuple[Any, ...] | None = None,
    task_kwargs: dict[str, Any] | None = None,
    input_path: str | None = None,
    execution_id: str | None = None,
    cache: bool = True,
) -> str:
    """Start a federated task as a command of its own, on the executor of its section, and return when the executor has taken it.

    An executor on this machine has taken it when it has ended.

    Args:
        federated_config_path: folder of the configuration that has the section.
        entrypoint: name of the section.
        task_args, task_kwargs: the arguments, or
        input_path: a file that holds them, as `redun run --input` reads it. It is not opened here.
        execution_id: UUID to record it under; a new one by default.
        cache: False to run every job again.

    Returns:
        The id of the execution.

    Raises:
        FederatedTaskError: there is no such section, or something is missing in it.
    """
    from pathlib import Path

    from redun.config import load_config
    from redun.executors.launch import launch_script

    config = load_config(Path(federated_config_path).absolute())
    section = _section(config, entrypoint)
    execution_id = execution_id or str(uuid.uuid4())
    executors = config.get("executors") or {}
    if section["executor"] not in executors:
        raise ConfigError(
            f"section [federated_tasks.{entrypoint}] of {config.source}: there is no section [executors.{section['executor']}]"
        )
    if input_path is None:
        if not isinstance(task_args, tuple) or not isinstance(task_kwargs, dict):
            raise FederatedTaskError(
                f"federated task {entrypoint!r}: expected a tuple of arguments and a dict of named ones, () and {{}} for none, "
                f"found {task_args!r:.80} and {task_kwargs!r:.80}"
            )
        scratch = executors[section["executor"]].get("scratch") or os.path.join(config.configdir, "scratch")
        input_path = _write_input(scratch, execution_id, task_args, task_kwargs)
    words = ["redun", "-c", section["config_dir"], "run", "--input", input_path, "--execution-id", execution_id]
    words += [] if cache else ["--no-cache"]
    words += [section["load_module"], f"{section['namespace']}.{section['task_name']}"]
    launch_script(config, words, executor_name=section["executor"])
    return execution_id


__all__ = [
    "InvocationException",
    "federated_task",
    "lambda_federated_task",
    "launch_federated_task",
    "rest_federated_task",
]
