"""`redun run --rerun`: the task and the arguments of a job that was recorded."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from redun.cli.errors import CommandError

if TYPE_CHECKING:
    from redun.provenance import Job
    from redun.store.repository import Store

_ID = re.compile(r"-|~\d+|[0-9a-fA-F][0-9a-fA-F-]*")


def looks_like_id(text: str) -> bool:
    """True for the beginning of an id, `-` and `~N`."""
    return _ID.fullmatch(text) is not None


def find_job(store: Store, name: str) -> Job:
    """Return the job that a name means: a job, or the root job of an execution.

    Args:
        name: beginning of the id of a job or an execution, `-` or `~N`.

    Raises:
        CommandError: there is none.
        AmbiguousId: there are several.
    """
    from redun.provenance import Provenance

    provenance = Provenance(store)
    found = provenance.named(name, ("execution", "job"))
    if found is None:
        raise CommandError(f"no job or execution has an id that begins with {name!r}: 'redun log' lists them")
    if found.kind == "job":
        return provenance.job(found.id)
    execution = provenance.execution(found.id)
    for _, job in provenance.job_tree(execution):
        return job
    raise CommandError(f"execution {execution.id} has no jobs: it ended before its first one began")


def arguments_of(store: Store, job: Job) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments that a job was called with.

    Raises:
        CommandError: they were not recorded, or cannot be read any more.
    """
    from redun.errors import RedunError
    from redun.provenance import Provenance

    provenance = Provenance(store)
    found = provenance.arguments(job)
    if found is None:
        raise CommandError(f"job {job.id} has no recorded call, so its arguments are not known: it never finished")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in found:
        try:
            value = provenance.load(argument.value)
        except RedunError as error:
            raise CommandError(f"argument {argument.name!r} of job {job.id} cannot be read any more: {error}") from error
        if isinstance(argument.slot, int):
            args.append(value)
        else:
            kwargs[argument.slot] = value
    return tuple(args), kwargs
