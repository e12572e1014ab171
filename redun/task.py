"""Tasks: Python functions whose calls are lazy, cached and recorded.

`@task` turns a function into a `Task`; calling it returns a `TaskExpression` at once. A task is a value: it may be passed to tasks and
returned from them. Its hash stands for its code, so a changed task means other eval hashes.

What has to be found out about a task (signature, source, hash) is found out once, when first needed, never per call.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from redun.errors import TaskDefinitionError
from redun.expression import SchedulerExpression, TaskExpression
from redun.namespace import check_namespace, compute_namespace
from redun.signature import CallShape, WrapperShape, get_tuple_type_length, return_annotation, without_leading
from redun.store.ids import object_id
from redun.task_options import CacheCheckValid, CacheResult, CacheScope, check_async, check_nout, normal_options
from redun.task_registry import TaskRegistry, get_task_registry, split_task_fullname
from redun.value import Value

if TYPE_CHECKING:
    from redun.decorator_types import SchedulerTaskDecorator, ScriptDecorator, TaskDecorator
    from redun.evaluation.call_facts import hash_args_eval
    from redun.records import TaskRecord
    from redun.wrapping import wraps_task

P = ParamSpec("P")
R = TypeVar("R", covariant=True)
T = TypeVar("T")

# For annotations of scripts: functions before and after a decorator, and what a task returns.
Func = TypeVar("Func", bound=Callable[..., Any])
Func2 = TypeVar("Func2", bound=Callable[..., Any])
Result = TypeVar("Result")

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without importing inspect


class Task(Value, Generic[P, R]):
    """A function whose calls are expressions.

    Args:
        func: the function.
        name, namespace: see `task`.
        version: stands for the source in the hash.
        script: the function returns a shell script, whose output is the result.
        hash_includes: functions, tasks and values that join in the hash; their order does not count.
        source: text that stands for the function's own.
        task_options_base: options of the definition.
        task_options_override: options of `options(...)`.
        export_options: names of options that children inherit.
    """

    type_name = "redun.Task"

    expression_class: type[TaskExpression[Any]] = TaskExpression

    def __init__(
        self,
        func: Callable[P, R],
        name: str | None = None,
        namespace: str | None = None,
        version: str | None = None,
        compat: list[str] | None = None,
        script: bool = False,
        task_options_base: dict[str, Any] | None = None,
        task_options_override: dict[str, Any] | None = None,
        export_options: Iterable[str] | None = None,
        hash_includes: list[Any] | None = None,
        source: str | None = None,
    ) -> None:
        self.func = func
        self.name = name if name is not None else func.__name__
        self.namespace = compute_namespace(func, namespace)
        self.fullname = f"{self.namespace}.{self.name}" if self.namespace else self.name
        self.version = version
        self.compat = compat or []
        self.script = script
        self.task_options_base = normal_options(self.fullname, task_options_base or {})
        self.task_options_override = normal_options(self.fullname, task_options_override or {})
        self.exported = frozenset(export_options or ())
        self.hash_includes = hash_includes or []
        self._source = source
        self._shape: CallShape | None = None
        self._record: TaskRecord | None = None
        self._id: bytes | None = None
        self._nout: int | None = None
        self._wrapped: Task[Any, Any] | None = None
        self._check_definition()

    def _check_definition(self) -> None:
        if not callable(self.func):
            raise TaskDefinitionError(f"@task needs a function, found {type(self.func).__qualname__!r}")
        if not (self.name.isascii() and self.name.isidentifier()):
            raise TaskDefinitionError(
                f"task name {self.name!r} must be ASCII letters, digits and underscores, not starting with a digit: give @task(name=...)"
            )
        if self.namespace:
            check_namespace(self.namespace, f"task {self.name!r}")
        code = getattr(self.func, "__code__", None)
        if code is not None and code.co_posonlyargcount > code.co_argcount - len(self.func.__defaults__ or ()):
            raise TaskDefinitionError(
                f"task {self.fullname!r} has a positional-only parameter with a default, but defaults are passed by keyword: "
                f"remove the default or move '/' before it"
            )
        if self.task_options_base.get("nout") is not None:
            check_nout(self.fullname, self.task_options_base["nout"])
        if self.is_async():
            check_async(self.fullname, self.task_options_base)

    if TYPE_CHECKING:
        # To type checkers a call has the type of its result, that of an async task what the coroutine returns.

        @overload
        def __call__(self: Task[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs) -> T: ...
        @overload
        def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        shape = self._shape
        if shape is None:
            shape = self._look()
        if kwargs or not shape.simple or not shape.required <= len(args) <= shape.most:
            shape.check(self.name, args, kwargs)
        return self.expression_class(
            self, args, kwargs or None, self.task_options_override or None, self.exported or None, self._nout
        )

    def _look(self) -> CallShape:
        """Find out what calls need to know; once per task."""
        if self._wrapped is None or self.get_task_option("use_wrapper_signature"):
            shape = CallShape(self.func)
        else:
            shape = WrapperShape(self.func, self._wrapped.shape)
        self._shape = shape
        self._nout = self._find_nout()
        return shape

    def _find_nout(self) -> int | None:
        nout = self.get_task_option("nout")
        if nout is not None:
            check_nout(self.fullname, nout)
            return int(nout)
        return get_tuple_type_length(return_annotation(self.func))

    def is_async(self) -> bool:
        """True if the function is a coroutine function."""
        return bool(getattr(getattr(self.func, "__code__", None), "co_flags", 0) & _COROUTINE)

    @property
    def shape(self) -> CallShape:
        """What arguments the task takes, prepared for quick checks."""
        return self._shape or self._look()

    @property
    def nout(self) -> int | None:
        """Number of items of the result, if it is a sequence of known length."""
        if self._shape is None:
            self._look()
        return self._nout

    @property
    def signature(self) -> Any:
        """The function's `inspect.Signature`."""
        return self.shape.signature

    @property
    def load_module(self) -> str:
        """Name of the module that defines the task, for those who must import it elsewhere."""
        return str(self.get_task_option("load_module") or self.func.__module__)

    @property
    def wrapped_task(self) -> Task[Any, Any] | None:
        """The task that this one was put around by `wraps_task`, or None."""
        return self._wrapped

    @property
    def inner_task(self) -> Task[Any, Any]:
        """The innermost of the tasks that this one was put around; itself if there is none."""
        inner: Task[Any, Any] = self
        while inner._wrapped is not None:
            inner = inner._wrapped
        return inner

    def wrap(self, inner: Task[Any, Any]) -> None:
        """Note that this task was put around another; for `wraps_task`."""
        self._wrapped = inner
        self._shape = None

    def redefined(self) -> Task[P, R]:
        """Return a task of the same function whose definition has the options that this one has now."""
        made: Task[P, R] = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.task_options_base, made.task_options_override = self.get_task_options(), {}
        made.recompute_hash()
        return made

    @property
    def source(self) -> str:
        """The function's text without decorators, as it stands in its file."""
        if self._source is None:
            from redun.source import function_source

            self._source = function_source(self.func, dedented=False)
        return self._source

    @property
    def record(self) -> TaskRecord:
        """What is stored of the task and hashed."""
        if self._record is None:
            from redun.task_hash import make_record

            self._record = make_record(self)
        return self._record

    @property
    def id(self) -> bytes:
        """The 20-byte id of the task's object."""
        if self._id is None:
            self._id = object_id(self.record.encode())
        return self._id

    @property
    def hash(self) -> str:
        """The task's hash, 40 hex digits."""
        return self.id.hex()

    def recompute_hash(self) -> None:
        """Forget the hash, to be found again from what is current."""
        self._record = None
        self._id = None

    def get_hash(self, data: bytes | None = None) -> str:
        """Return the task's hash, 40 hex digits."""
        return self.hash

    def is_valid(self) -> bool:
        """True while the registered task of this name has this hash."""
        current = get_task_registry().get(self.fullname)
        if current is None or current is self:
            return current is not None
        override = self.task_options_override
        return (current.options(**override) if override else current).id == self.id

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {"name": self.fullname, "hash": self.hash}
        if self.task_options_override:
            state["options"] = self.task_options_override
            state["exported"] = sorted(self.exported)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        current = get_task_registry().require(state["name"])
        self.__dict__.update(current.__dict__)
        if state.get("options"):
            self.task_options_override = dict(state["options"])
            self.exported = frozenset(state.get("exported", ()))
        # The hash is the one of then: if the code has changed, the value is not valid any more.
        self._id = bytes.fromhex(state["hash"])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fullname={self.fullname}, hash={self.hash[:8]})"

    # Options.

    def get_task_option(self, option_name: str, default: Any = None) -> Any:
        """Return an option as set by `options(...)`, else by the definition, else `default`."""
        if option_name in self.task_options_override:
            return self.task_options_override[option_name]
        return self.task_options_base.get(option_name, default)

    def get_task_options(self) -> dict[str, Any]:
        """Return all options of definition and `options(...)`."""
        return {**self.task_options_base, **self.task_options_override}

    def has_task_option(self, option_name: str) -> bool:
        """Tell whether an option is set."""
        return option_name in self.task_options_override or option_name in self.task_options_base

    def options(self, **task_options_update: Any) -> Task[P, R]:
        """Return the same task with other options for the calls made through it."""
        return self._with(normal_options(self.fullname, task_options_update), frozenset())

    def export_options(self, **task_options_update: Any) -> Task[P, R]:
        """Return the same task with options that the jobs below its calls inherit as well."""
        update = normal_options(self.fullname, task_options_update)
        return self._with(update, frozenset(update))

    def _with(self, update: dict[str, Any], exported: frozenset[str]) -> Task[P, R]:
        clone: Task[P, R] = type(self).__new__(type(self))
        clone.__dict__.update(self.__dict__)
        clone.task_options_override = {**self.task_options_override, **update}
        clone.exported = self.exported | exported
        clone._record = clone._id = None
        if "nout" in update:
            clone._look()
        return clone

    def update_context(self, context: dict[str, Any] | None = None, **updates: Any) -> Task[P, R]:
        """Return the same task with its calls, and what they call, seeing an updated context."""
        before = self.get_task_option("_context_update") or {}
        return self.options(_context_update={**before, **(context or {}), **updates})

    def partial(self, *args: Any, **kwargs: Any) -> PartialTask[Any, R]:
        """Return a task that has some of its arguments already; more may follow, by call or by `partial`."""
        return PartialTask(self, args, kwargs)


class SchedulerTask(Task[P, R]):
    """A special form: a function of the scheduler itself, which decides how its arguments are evaluated."""

    type_name = "redun.SchedulerTask"

    expression_class = SchedulerExpression

    def _look(self) -> CallShape:
        # What a caller gives comes after (scheduler, parent_job, sexpr).
        shape = self._shape = CallShape(without_leading(self.func, 3))
        self._nout = self._find_nout()
        return shape


class PartialTask(Task[P, R]):
    """A task together with some of its arguments.

    Args:
        task: the task.
        args, kwargs: the arguments so far; keyword arguments given later replace earlier ones.
    """

    type_name = "redun.PartialTask"

    def __init__(self, task: Task[Any, R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.__dict__.update({name: value for name, value in task.__dict__.items() if name not in ("task", "args", "kwargs")})
        self.task = task
        self.args = args
        self.kwargs = kwargs

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        # The task checks the signature when all arguments are together, which is now.
        return self.task(*self.args, *args, **{**self.kwargs, **kwargs})

    def partial(self, *args: Any, **kwargs: Any) -> PartialTask[Any, R]:
        """Return the task with more arguments."""
        return PartialTask(self.task, (*self.args, *args), {**self.kwargs, **kwargs})

    def _with(self, update: dict[str, Any], exported: frozenset[str]) -> PartialTask[P, R]:
        """Return the same closure over the task with other options."""
        return PartialTask(self.task._with(update, exported), self.args, self.kwargs)

    def is_valid(self) -> bool:
        """True while the task itself is."""
        return self.task.is_valid()

    @property
    def hash(self) -> str:
        """Hash of task and arguments, 40 hex digits."""
        from redun.encoding import value_id

        return value_id(self).hex()

    def __getstate__(self) -> dict[str, Any]:
        return {"task": self.task, "args": list(self.args), "kwargs": self.kwargs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        PartialTask.__init__(self, state["task"], tuple(state["args"]), state["kwargs"])

    def __repr__(self) -> str:
        return f"PartialTask(fullname={self.fullname}, hash={self.hash[:8]}, args={self.args!r}, kwargs={self.kwargs!r})"


@overload
def task(func: Callable[P, R]) -> Task[P, R]: ...


@overload
def task(
    func: None = None,
    *,
    script: Literal[True],
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    compat: list[str] | None = None,
    hash_includes: list[Any] | None = None,
    source: str | None = None,
    export_options: dict[str, Any] | None = None,
    **task_options_base: Any,
) -> ScriptDecorator: ...


@overload
def task(
    func: None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    compat: list[str] | None = None,
    script: bool = False,
    hash_includes: list[Any] | None = None,
    source: str | None = None,
    export_options: dict[str, Any] | None = None,
    **task_options_base: Any,
) -> TaskDecorator: ...


def task(
    func: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    namespace: str | None = None,
    version: str | None = None,
    compat: list[str] | None = None,
    script: bool = False,
    hash_includes: list[Any] | None = None,
    source: str | None = None,
    export_options: dict[str, Any] | None = None,
    **task_options_base: Any,
) -> Any:
    """Turn a function into a task; used as `@task` or `@task(...)`.

    Args:
        name, namespace: the fullname is `namespace.name`; by default the function's name and the module's `redun_namespace`.
        version: stands for the source in the hash, so that edits that change nothing need no new run.
        script: the function returns a shell script; its standard output (or what `outputs` says) is the result.
        hash_includes: functions and values that join in the hash.
        source: text that stands for the function's own.
        export_options: options that jobs below inherit.
        task_options_base: any other option: `executor`, `cache`, `check_valid`, `limits`, `nout`, `memory`, ...

    Raises:
        TaskDefinitionError: a name, namespace or option that cannot work.
    """

    def decorate(function: Callable[..., Any]) -> Task[..., Any]:
        exported = normal_options(name or function.__name__, export_options or {})
        made: Task[..., Any] = Task(
            function,
            name=name,
            namespace=namespace,
            version=version,
            compat=compat,
            script=script,
            task_options_base={**task_options_base, **exported},
            export_options=exported,
            hash_includes=hash_includes,
            source=source,
        )
        get_task_registry().add(made)
        return made

    return decorate if func is None else decorate(func)


def scheduler_task(
    name: str | None = None, namespace: str | None = None, version: str = "1", **task_options_base: Any
) -> SchedulerTaskDecorator:
    """Define a special form: a function of (scheduler, parent_job, sexpr, *unevaluated arguments)."""

    def decorate(function: Callable[..., Any]) -> Any:
        made: SchedulerTask[..., Any] = SchedulerTask(
            function, name=name, namespace=namespace, version=version, task_options_base=task_options_base
        )
        get_task_registry().add(made)
        return made

    return decorate


def __getattr__(name: str) -> Any:
    if name == "wraps_task":
        from redun.wrapping import wraps_task

        return wraps_task
    if name == "hash_args_eval":
        from redun.evaluation.call_facts import hash_args_eval

        return hash_args_eval
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CacheCheckValid",
    "CacheResult",
    "CacheScope",
    "PartialTask",
    "SchedulerTask",
    "Task",
    "TaskRegistry",
    "get_task_registry",
    "hash_args_eval",
    "get_tuple_type_length",
    "scheduler_task",
    "split_task_fullname",
    "task",
    "wraps_task",
]
