"""Plans: all that running a task's calls needs to know, worked out once per task and set of options.

A call with plain options (nearly all) shares one plan with every other call of its task, so option merging, the task's hash and the
looks at signature and defaults cost nothing per call.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgpack

from redun.errors import LimitError, RedunError, TaskDefinitionError
from redun.files import stamping
from redun.store.ids import ID_BYTES
from redun.tags import check_tags
from redun.task import CacheCheckValid, CacheResult, CacheScope, Task
from redun.task_options import captures_output, life

_EVAL_TAG = b"redun eval 1\x00"
_pack = msgpack.Packer(strict_types=True, unicode_errors="surrogatepass").pack


class Plan:
    """How to run calls of one task under one set of options.

    Args:
        task: the task.
        options: merged options (definition, inherited, call, scheduler), expressions already evaluated.
        executor: name of the executor.
        everywhere: the content of files in all results is kept, unless an option says otherwise.
        counts: the task's row in the status table, shared by all its plans: jobs by `State`-like column.

    Attributes:
        asked: the task as the expressions have it, which may have been defined anew since.
        scope: where results may be looked up. check: how a cached result is checked.
        limits: resource name -> how much one job takes.
        life: time-out and retries of its jobs, None if they have neither.
        is_async: the function is a coroutine function.
        shares: equal calls in one execution share their result.
        records: False for `prov=False`.
        tags: (key, JSON value) pairs that each job gets.
        context_update: what `Task.update_context` lays over the context of its jobs.
        captures: what its jobs write is kept.
        refusal: why its jobs cannot run, though their results may be known; None if they can.
        leave_out: parameters outside the eval hash (`config_args`).
        exports_files: its option `capture_files` holds for the jobs below, too.
        keeps_files: True: the content of files in its results is kept; None: where the class of the files asks for it.
    """

    __slots__ = (
        "allowed",
        "asked",
        "captures",
        "context_update",
        "counts",
        "executor",
        "exports_files",
        "fullname",
        "has_defaults",
        "is_async",
        "keeps_files",
        "leave_out",
        "life",
        "limits",
        "names",
        "options",
        "plain_order",
        "prefix",
        "records",
        "refusal",
        "scope",
        "shallow",
        "shape",
        "shares",
        "tags",
        "task",
        "task_id",
    )

    def __init__(
        self, task: Task[Any, Any], options: Mapping[str, Any], executor: str, counts: list[int], everywhere: bool = False
    ) -> None:
        self.task = task
        self.options = options
        self.executor = executor
        self.counts = counts
        self.fullname = task.fullname
        self.task_id = task.id
        self.shape = task.shape
        self.names = self.shape.names
        self.scope = _scope(options)
        self.shallow = _enum(CacheCheckValid, options, "check_valid", CacheCheckValid.FULL, task) is CacheCheckValid.SHALLOW
        self.limits = parse_limits(options.get("limits"), task.fullname)
        self.life = life(task.fullname, options)
        self.leave_out = frozenset(options.get("config_args") or ())
        self._check_config_args()
        self.prefix = _EVAL_TAG + self.task_id
        self.has_defaults = bool(self.shape.defaults)
        allowed = options.get("allowed_cache_results")
        self.allowed = None if allowed is None else frozenset(CacheResult(item) for item in allowed)
        self.context_update: Mapping[str, Any] = options.get("_context_update") or {}
        self.records = options.get("prov") is not False
        self.keeps_files = kept_files(options, everywhere)
        self.exports_files = "capture_files" in options
        self.tags = check_tags(options.get("tags"))
        self.is_async = task.is_async()
        if self.is_async:
            # What it returned says nothing of the calls that it awaited: only a shallow hit has looked at their tasks.
            self.allowed = frozenset((CacheResult.CSE, CacheResult.ULTIMATE))
        self.shares = self.scope is not CacheScope.NONE and (self.allowed is None or CacheResult.CSE in self.allowed)
        self.plain_order = not self.leave_out
        self.captures = captures_output(task.fullname, options)
        self.asked = task
        self.refusal: RedunError | None = None

    def _check_config_args(self) -> None:
        known = {*self.names, *self.shape.keyword_only}
        for name in self.leave_out:
            if name not in known:
                raise TaskDefinitionError(
                    f"config_args of task {self.fullname!r} names {name!r}, which is no parameter: expected some of {sorted(known)}"
                )

    def eval_hash(self, args: list[bytes], kwargs: Mapping[str, bytes], task_id: bytes | None = None) -> bytes:
        """Return the 20-byte key under which a call's result is cached: SHA-256 of task and arguments in the signature's order.

        Args:
            args, kwargs: what the arguments count as (`ValueEncoder.key`), defaults filled in.
            task_id: another version of the task, to ask what the key would have been.
        """
        ordered = args if self.plain_order and not kwargs else self.shape.in_order(args, kwargs, self.leave_out)
        prefix = self.prefix if task_id is None else _EVAL_TAG + task_id
        return sha256(prefix + _pack(ordered)).digest()[:ID_BYTES]


def _scope(options: Mapping[str, Any]) -> CacheScope:
    scope = options.get("cache_scope")
    if scope is not None:
        return scope if isinstance(scope, CacheScope) else CacheScope(scope)
    # `cache=False` still shares equal calls within one execution.
    return CacheScope.BACKEND if options.get("cache", True) else CacheScope.CSE


def _enum(enum: Any, options: Mapping[str, Any], name: str, default: Any, task: Task[Any, Any]) -> Any:
    value = options.get(name)
    if value is None:
        return default
    try:
        return enum(value)
    except ValueError:
        expected = ", ".join(repr(member.value) for member in enum)
        raise TaskDefinitionError(
            f"option {name}={value!r} of task {task.fullname!r} is unknown: expected one of {expected}"
        ) from None


def kept_files(options: Mapping[str, Any], everywhere: bool) -> bool | None:
    """Return what to keep the content of: True all files in results, None those whose class asks for it, False none."""
    wanted = options.get("capture_files")
    if wanted is None:
        wanted = True if everywhere else None
    return (None if stamping.classes_captured else False) if wanted is None else bool(wanted)


def parse_limits(limits: Any, fullname: str) -> dict[str, int]:
    """Return how much of each limited resource a job takes.

    Args:
        limits: None, a list of names (one each), or name -> count.

    Raises:
        LimitError: neither of these, or a count that is no integer of at least 0.
    """
    if not limits:
        return {}
    if isinstance(limits, list | tuple | set):
        return dict.fromkeys(limits, 1)
    if not isinstance(limits, dict):
        raise LimitError(f"limits of task {fullname!r} must be a list of names or a dict of name to count, found {limits!r}")
    for name, count in limits.items():
        if type(count) is not int or count < 0:
            raise LimitError(f"limit {name!r} of task {fullname!r} must be an integer of at least 0, found {count!r}")
    return dict(limits)
