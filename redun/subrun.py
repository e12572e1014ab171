"""Sub-runs: an expression evaluated by a scheduler of its own, inside a job on some executor.

    subrun(expr, executor="cluster")

The job is a call of `redun.subrun_root_task`. Wherever its executor runs it, it starts a scheduler on the same store, with the
configuration, context, exported options and `prov` of the caller, and evaluates the expression there. The jobs of the sub-run are
recorded below it in the caller's execution (or in an execution of their own), and its root call becomes a child of the job's call, so
dataflow and checks of cached results go on through it.

What the sub-run made is checked shallowly by default: the result is taken if no task below has changed. A full check would need the
scheduler that the sub-run is there to spare us.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redun.errors import SchedulerError
from redun.evaluation.extension import Above
from redun.evaluation.forms import Form
from redun.evaluation.node import Scope
from redun.expression import QuotedExpression
from redun.forms import special_form
from redun.job_info import JobInfo
from redun.task import CacheResult, get_task_registry, task
from redun.value import Value

if TYPE_CHECKING:
    from redun.config import Config
    from redun.evaluation.evaluation import Evaluation
    from redun.evaluation.job import Job
    from redun.store.repository import Store

T = TypeVar("T")

_CACHE_OPTIONS = ("cache", "cache_scope", "check_valid")


class SubrunCall(Value):
    """The root call of a sub-run, on its way to the job that started it.

    Args:
        call: its id, 40 hex digits; empty if none was recorded.
    """

    type_name = "redun.SubrunCall"

    def __init__(self, call: str) -> None:
        self.call = call

    def __getstate__(self) -> dict[str, Any]:
        return {"call": self.call}

    def postprocess(self, postprocess_args: dict[str, Any]) -> SubrunCall:
        """Make the call a child of the job's call."""
        job: Job = postprocess_args["job"]
        if self.call:
            job.adopt([bytes.fromhex(self.call)])
        return self


@task(
    namespace="redun",
    name="subrun_root_task",
    version="1",
    config_args=["config", "config_dir", "load_modules", "run_config"],
    check_valid="shallow",
    allowed_cache_results=[CacheResult.CSE, CacheResult.ULTIMATE],
)
def subrun_root_task(
    expr: QuotedExpression[Any],
    config: dict[str, Any],
    config_dir: str | None,
    load_modules: list[str],
    run_config: dict[str, Any],
    new_execution: bool = False,
    job_info: JobInfo = JobInfo(),  # noqa: B008
    export_options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Evaluate an expression with a scheduler of its own; the function of the job that `subrun` starts.

    Args:
        expr: the quoted expression.
        config: configuration of the scheduler, as a dict. config_dir: or the folder of one.
        load_modules: modules that define the tasks.
        run_config: `cache`, `context`, `provenance`; `store`, the folder of the caller's store; `remotes`, repos that it reads through.
        new_execution: record an execution of its own.
        job_info: says where the jobs belong.
        export_options: options that every job inherits.

    Returns:
        `result`: the value. `call`: the root call, a `SubrunCall`.
    """
    from importlib import import_module

    for module in load_modules:
        import_module(module)
    settings = _settings(config, config_dir)
    with _store(settings, bool(config_dir) or "backend" in settings, run_config.get("store")) as store:
        return _run(expr, settings, store, new_execution, job_info, export_options, run_config)


def _settings(config: dict[str, Any], config_dir: str | None) -> Config:
    from redun.config import Config, load_config

    if config_dir is None:
        return Config(config)
    folder = Path(config_dir)
    if not folder.is_dir():
        raise SchedulerError(f"configuration folder {config_dir!r} of subrun() does not exist on this machine")
    return load_config(folder)


def _store(settings: Config, names_store: bool, caller_folder: str | None) -> Store:
    """Open the store that the configuration names, else the caller's."""
    from redun.config import open_store
    from redun.evaluation.current import get_current_scheduler
    from redun.store.repository import Store

    section = settings.get("backend")
    if names_store and section is not None and "path" in section:
        return open_store(settings.configdir, settings)
    current = get_current_scheduler(required=False)
    if current is not None:
        store: Store = current.store.another()
        return store
    if caller_folder is None:
        if names_store and settings.configdir_known:
            # The caller's results are in memory, but these have a place of their own.
            return open_store(settings.configdir, settings)
        raise SchedulerError(
            "subrun() in another process needs a store on disk, but the caller keeps its results in memory: "
            "give config_dir=, or start the workflow with redun run"
        )
    return Store.open(Path(caller_folder))


def _run(
    expr: QuotedExpression[Any],
    settings: Config,
    store: Store,
    new_execution: bool,
    job_info: JobInfo,
    export_options: Mapping[str, Any] | None,
    run_config: Mapping[str, Any],
) -> dict[str, Any]:
    from redun.evaluation.current import get_current_scheduler
    from redun.evaluation.scheduler import Scheduler
    from redun.root import root_task

    caller = get_current_scheduler(required=False)
    scheduler = Scheduler(settings, store, logger=None if caller is None else caller.given_logger)
    scheduler.load()
    scheduler.remotes = scheduler.remotes or _known_repos(settings, run_config.get("remotes") or ())
    what = root_task.export_options(**export_options)(expr) if export_options else expr.eval()
    facts = {"cache": run_config["cache"], "context": run_config["context"]}
    if new_execution:
        result = scheduler.run(what, provenance=run_config["provenance"], **facts)
        return {"result": result, "call": SubrunCall(scheduler.last_call)}
    outcome = scheduler.extend(what, Above(job_info.execution_id, job_info.number), **facts)
    if "error" in outcome:
        raise outcome["error"]
    return {"result": outcome["result"], "call": SubrunCall(outcome["call_hash"] or "")}


def _known_repos(settings: Config, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of the repos that the caller reads through that the configuration of the sub-run knows."""
    from redun.remotes import is_place, repos

    known = repos(settings)
    return tuple(name for name in names if name in known or is_place(name))


class Subrun(Form):
    """`subrun(expr, executor, ...)`: a call of `subrun_root_task` with what the caller knows."""

    __slots__ = ()

    def turn(self, run: Evaluation) -> None:
        """Evaluate all arguments but the expression, then make the call."""
        if self.followed(run):
            return
        expr = self.expr
        if self.stage == 0:
            self.stage = 1
            run.demand(
                self, [expr.args[1:], {name: value for name, value in expr.kwargs.items() if name != "expr"}], self.scope
            )
            return
        value_of = self.scope.value
        arguments = dict(zip(_NAMES, expr.args, strict=False)) | expr.kwargs
        inner = arguments.pop("expr")
        try:
            call = _call(run, self.scope, inner, expr.task_options or {}, **value_of(arguments))
        except Exception as error:
            run.fail(self, error)
            return
        self.follow(run, call)


_NAMES = ("expr", "executor", "config", "config_dir", "new_execution", "load_modules")


def _call(
    run: Evaluation,
    scope: Scope,
    expr: Any,
    options: Mapping[str, Any],
    executor: str,
    config: dict[str, Any] | None = None,
    config_dir: str | None = None,
    new_execution: bool = False,
    load_modules: list[str] | None = None,
    **task_options: Any,
) -> Any:
    if not isinstance(executor, str):
        raise TypeError(f"subrun() needs the name of an executor, found {executor!r}")
    if config and config_dir is not None:
        raise SchedulerError("subrun() takes config= or config_dir=, not both")
    job = scope.job
    scheduler = run.scheduler
    recorded = job is not None and job.recorder.records
    folder = scheduler.store.folder
    if config_dir is not None:
        config = {}
    elif not config:
        config = _config_dict(scheduler)
    cache = {name: options[name] for name in _CACHE_OPTIONS if name in options}
    starter = subrun_root_task.options(executor=executor, **cache, **task_options)
    call: Any = starter(
        QuotedExpression(expr),
        config,
        config_dir,
        sorted(load_modules) if load_modules is not None else _modules(),
        {
            "cache": run.calls.use_cache,
            "context": (job.context if job is not None else run.context) or {},
            "provenance": recorded,
            "store": None if folder is None else str(Path(folder).absolute()),
            "remotes": list(scheduler.remotes),
        },
        new_execution=new_execution or not recorded,
        export_options=dict(job.exported) if job is not None and job.exported else None,
    )
    return call["result"]


def _config_dict(scheduler: Any) -> dict[str, Any]:
    from redun.config import Config

    config = scheduler.config
    # As written: what is recorded of the call must not hold what the environment gives, secrets maybe.
    sections = (config if isinstance(config, Config) else Config(config)).as_written()
    # Store and context go their own way: paths in the caller's configuration may be relative to its folder.
    sections.pop("backend", None)
    for option in ("context", "context_file"):
        sections.get("scheduler", {}).pop(option, None)
    return sections


def _modules() -> list[str]:
    """Names of the modules that define the user's tasks."""
    found = {one.load_module for one in get_task_registry()}
    return sorted(name for name in found if name != "redun" and not name.startswith("redun."))


@special_form(Subrun)
def subrun(  # type: ignore[empty-body]
    expr: T,
    executor: str,
    config: dict[str, Any] | None = None,
    config_dir: str | None = None,
    new_execution: bool = False,
    load_modules: list[str] | None = None,
    **task_options: Any,
) -> T:
    """Evaluate an expression by a scheduler of its own, in a job on an executor.

    Args:
        expr: the expression, or a nested value with expressions in it.
        executor: where that job runs.
        config: configuration of the scheduler, section to options; by default the caller's.
        config_dir: or a folder with a `redun.ini`, on the machine where the job runs.
        new_execution: record the sub-run as an execution of its own instead of below the caller's job.
        load_modules: modules to import first; by default all that define tasks here.
        task_options: options of the job, such as `memory`.

    `subrun.options(check_valid="full")` has the sub-run started each time, so that it checks every call itself.

    Raises:
        TypeError: no executor is given.
    """


__all__ = ["SubrunCall", "subrun", "subrun_root_task"]
