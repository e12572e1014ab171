"""The scheduler: what runs need that outlasts a single one (configuration, store, executors), and `run`."""

from __future__ import annotations

import os
import shlex
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, overload

from redun.config_section import truth
from redun.context import merge
from redun.errors import DryRunResult, RedunError, SchedulerError, StoreError
from redun.evaluation.cache import Cache
from redun.evaluation.calls import Calls
from redun.evaluation.current import get_current_scheduler, set_current_scheduler
from redun.evaluation.evaluation import Evaluation
from redun.evaluation.events import EventLog
from redun.evaluation.interruption import Interruption
from redun.evaluation.limits import Limits
from redun.evaluation.node import Node
from redun.evaluation.outputs import Outputs, kept_characters
from redun.evaluation.plans import Plans
from redun.evaluation.recorder import Recorder
from redun.evaluation.reports import Reports
from redun.evaluation.status import StatusClock, status_interval_s
from redun.evaluation.text import error_text, format_value
from redun.executors.base import Executor
from redun.executors.collection import Executors
from redun.executors.takes_back import Abort, TakesBack, refuse_in_importing_worker
from redun.expression import Expression
from redun.files.stamping import counted_by_content
from redun.garbage import raised_thresholds
from redun.output import capturing
from redun.records import ExecutionRecord
from redun.root import as_root
from redun.store import who
from redun.store.journal import Status
from redun.tags import check_tags
from redun.task import get_task_registry
from redun.value import get_type_registry
from redun.version import __version__

T = TypeVar("T")

if TYPE_CHECKING:
    from redun.config import Config
    from redun.evaluation.extension import Above
    from redun.evaluation.handle_states import HandleStates
    from redun.evaluation.job import Job
    from redun.evaluation.progress import Progress
    from redun.evaluation.unrecorded import NoRecorder
    from redun.promise import Promise
    from redun.remotes import Repo
    from redun.store.repository import Store


class Scheduler(Reports, TakesBack):
    """Runs expressions.

    Args:
        config: the configuration (`[limits]`, `[executors.*]`, ...); none means defaults.
        store: where results are kept; a store in memory if None.
        executor: the executor to use under the name "default".
        logger: see `redun.evaluation.reports`; None logs to standard error, False not at all.
        use_task_traceback: the traceback of a failure begins with the jobs that led there.
        job_status_interval: seconds between status tables while it runs; 0 for none, None for what the configuration says.
        migrate: without effect; kept for scripts that give it.

    Attributes:
        limits: how much there is of each limited resource; one that is not listed has 1.
        limits_used: how much of each is taken now.
        ignore_warnings: names of warnings that are not given.
        remotes: names of repos that are asked for what the store does not have, `[backend] remotes` by default.
        pushes: what a run did is pushed if it ended well; by default if `[backend] push_on_success` names a repo.
        captures_files: `[backend] capture_files`: files of this machine count by content, and that of results is kept.
        task_registry, type_registry: all tasks and types that are known.
    """

    def __init__(
        self,
        config: Config | Mapping[str, Any] | None = None,
        store: Store | None = None,
        executor: Executor | None = None,
        logger: Any = None,
        use_task_traceback: bool = True,
        job_status_interval: float | None = None,
        migrate: bool | None = None,
    ) -> None:
        self._own_store = store is not None
        if store is None:
            from redun.store.repository import Store

            store = Store.in_memory()
        super().__init__(logger)
        self.store = store
        self.config = config if config is not None else {}
        self.executors = Executors(self._executor_makers(), self)
        if executor is not None:
            self.add_executor(executor)
        self.limits = self._configured_limits()
        self._limits_now = Limits(self.limits)
        self.ignore_warnings = set(str(self._section("scheduler").get("ignore_warnings") or "").split())
        self.task_registry = get_task_registry()
        self.type_registry = get_type_registry()
        self.use_task_traceback = use_task_traceback
        interval = {} if job_status_interval is None else {"job_status_interval": job_status_interval}
        self.job_status_interval = status_interval_s({**self._section("scheduler"), **interval})
        self._kept_characters = kept_characters(self._section("scheduler"))
        backend = self._section("backend")
        self.captures_files = truth(backend, "capture_files")
        self.remotes: tuple[str, ...] = tuple(str(backend.get("remotes") or "").replace(",", " ").split())
        self.pushes = bool(backend.get("push_on_success"))
        self._running = False
        self._evaluation: Evaluation | None = None
        self._handle_states: HandleStates | None = None
        # The error that the last run ended with, if it is the workflow's: the log has told of it then.
        self.failure: BaseException | None = None
        # Id of the root call of the last run, empty if none was recorded.
        self.last_call = ""

    def load(self, migrate: bool | None = None) -> None:
        """Nothing is left to load: the store was opened when the scheduler was made. Kept for scripts that call it."""

    def adopt(self, store: Store | None, logger: Any) -> None:
        """Take store and logger where the scheduler was made without: by a setup function, for which they are not known."""
        if store is not None and not self._own_store:
            self.store = store
        if logger is not None:
            self.logger = logger

    def _section(self, name: str) -> Mapping[str, Any]:
        config: Any = self.config
        section = config.get(name) if hasattr(config, "get") else None
        return section or {}

    def _configured_limits(self) -> dict[str, int]:
        from redun.errors import ConfigError

        limits = {}
        for name, count in self._section("limits").items():
            try:
                limits[name] = int(count)
            except (TypeError, ValueError):
                raise ConfigError(f"limit {name!r} in section [limits] must be an integer, found {count!r}") from None
        return limits

    def _configured_context(self) -> dict[str, Any]:
        from redun.config import read_context

        return read_context(self._whole_config())

    def _executor_makers(self) -> dict[str, Any]:
        from redun.executors.registry import make_executor

        sections = {"default": {"type": "local"}, "process": {"type": "process"}, **self._section("executors")}
        return {
            name: lambda name=name, section=section: make_executor(name, section, self) for name, section in sections.items()
        }

    def add_executor(self, executor: Executor) -> None:
        """Add an executor under its own name."""
        self.executors.add(executor)

    @property
    def limits_used(self) -> dict[str, int]:
        """How much of each limited resource the jobs that run take now."""
        return self._limits_now.used

    def evaluate(self, expr: Any, parent_job: Job | None = None) -> Promise[Any]:
        """Evaluate an expression while a run goes on: for special forms (`@scheduler_task`), on the scheduler's thread.

        Args:
            expr: an expression, or a nested value with expressions in it.
            parent_job: the job on whose behalf; jobs that come of it are its children.

        Raises:
            SchedulerError: nothing is running.
        """
        if self._evaluation is None:
            raise SchedulerError("evaluate() is for special forms of a running workflow: use run() instead")
        return self._evaluation.promise(expr, parent_job)

    @property
    def handle_states(self) -> HandleStates:
        """Which states of handles still hold."""
        if self._handle_states is None:
            from redun.evaluation.handle_states import HandleStates

            self._handle_states = HandleStates(self.store)
        return self._handle_states

    @property
    def is_running(self) -> bool:
        """True while `run` is."""
        return self._running

    @property
    def progress(self) -> Progress | None:
        """How far the run is that goes on, None if none does. Any thread may ask."""
        from redun.evaluation.progress import Progress

        evaluation = self._evaluation
        return None if evaluation is None else Progress(evaluation, self._counts)

    @overload
    def run(self, expr: Expression[T], *args: Any, **options: Any) -> T: ...

    @overload
    def run(
        self,
        expr: T,
        exec_argv: list[str] | None = None,
        dryrun: bool = False,
        cache: bool = True,
        tags: Iterable[tuple[str, Any]] = (),
        context: Mapping[str, Any] | None = None,
        execution_id: str | None = None,
        option_overrides: Mapping[str, Any] | None = None,
        provenance: bool = True,
    ) -> T: ...

    def run(
        self,
        expr: Any,
        exec_argv: list[str] | None = None,
        dryrun: bool = False,
        cache: bool = True,
        tags: Iterable[tuple[str, Any]] = (),
        context: Mapping[str, Any] | None = None,
        execution_id: str | None = None,
        option_overrides: Mapping[str, Any] | None = None,
        provenance: bool = True,
        keep_going: bool = False,
        max_failures: int | None = None,
    ) -> Any:
        """Evaluate an expression and return its value.

        Args:
            expr: the expression; any other value is returned as it is, after one root job.
            exec_argv: command line to record.
            dryrun: only say what would run, and why.
            cache: False to run everything again; results are still written.
            tags: (key, JSON value) pairs of the execution.
            context: laid over the configured context.
            execution_id: UUID to record it under; a new one by default.
            option_overrides: task options that beat all others.
            provenance: False to record no execution, look nothing up and keep no results.
            keep_going: when a job fails, do first what does not depend on it.
            max_failures: the same, but only until so many jobs have failed.

        Raises:
            DryRunResult: `dryrun` is set and jobs would run.
            StoreError: the store fails; what had been committed is safe.
            Exception: whatever the workflow's failing task raised, the traceback of jobs having been logged.
        """
        self._must_not_be_running()
        with counted_by_content(self.store) if self.captures_files else nullcontext():
            execution = self._execution(expr, exec_argv, tags, execution_id)
            root = as_root(expr)
            records = provenance and not dryrun and self._root_records(root, option_overrides or {})
            target = self._push_target() if self.pushes and records else None
            recorder = self._recorder(execution, records, dryrun)
            evaluation = self._new_evaluation(recorder, dryrun, cache, context or {}, option_overrides or {})
            evaluation.keep_going = keep_going or max_failures is not None
            evaluation.max_failures = max_failures
            identity = str(uuid.UUID(bytes=execution.id))
            evaluation.calls.log.line(f"Start Execution {identity}:  redun {shlex.join(execution.argv[1:])}")
            done = self._run(evaluation, root, self.store.lease(identity) if records else nullcontext())
        if target is not None and done.error is None:
            from redun.writeback import push_execution

            push_execution(self.store, target, identity, evaluation.calls.log)
        if done.error is not None:
            # Notebooks and pytest show tracebacks themselves: what lies between the caller and the task is of no use there.
            __tracebackhide__ = True
            from redun.traceback_lines import from_users_frame

            raise done.error if self.all_frames else from_users_frame(done.error)
        return done.value

    def extend_run(
        self, expr: Any, parent_job_id: str, dryrun: bool = False, cache: bool = True, context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Evaluate an expression below a job of an execution that is in the store, maybe still running elsewhere.

        Args:
            expr: the expression.
            parent_job_id: UUID of the job.
            dryrun, cache, context: see `run`.

        Returns:
            `result`, or `error` if the workflow failed, or `dryrun` if jobs would run; `job_id` and `call_hash` of the root job.

        Raises:
            ValueError: the job is not in the store.
        """
        from redun.evaluation.extension import Above
        from redun.provenance import Provenance

        try:
            job = Provenance(self.store).job(parent_job_id)
        except RedunError as error:
            raise ValueError(f"unknown parent_job_id {parent_job_id!r}: {error}") from error
        return self.extend(expr, Above(job.execution, job.number), dryrun=dryrun, cache=cache, context=context)

    def extend(
        self,
        expr: Any,
        above: Above,
        *,
        dryrun: bool = False,
        cache: bool = True,
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Evaluate an expression below a job that is known by its place; see `extend_run`.

        Raises:
            SchedulerError: its execution is not in the store, or this scheduler is running.
        """
        self._must_not_be_running()
        root = as_root(expr)
        recorder: Recorder | NoRecorder
        records = self._root_records(root, {})
        if records and not dryrun:
            from redun.evaluation.extension import ExtensionRecorder

            recorder = ExtensionRecorder(self.store.source, above)
        else:
            recorder = self._recorder(self._execution(expr, None, (), None), records, dryrun)
        evaluation = self._new_evaluation(recorder, dryrun, cache, context or {}, {})
        calls = evaluation.calls
        calls.log.line(f"Start sub-run of Execution {above.execution}")
        with counted_by_content(self.store) if self.captures_files else nullcontext():
            done = self._run(evaluation, root, nullcontext())
        facts = {"job_id": None if calls.root_job is None else calls.root_job.id, "call_hash": self.last_call or None}
        if done.error is None:
            return {"result": done.value, **facts}
        return {"dryrun": True, **facts} if isinstance(done.error, DryRunResult) else {"error": done.error, **facts}

    def _whole_config(self) -> Config:
        from redun.config import Config

        return self.config if isinstance(self.config, Config) else Config(self.config)

    def _push_target(self) -> Repo:
        from redun.writeback import push_target

        return push_target(self._whole_config(), self.remotes)

    def _must_not_be_running(self) -> None:
        if self._running:
            raise SchedulerError(
                "this scheduler is running already: return the expression from a task instead, or use another scheduler"
            )
        refuse_in_importing_worker()

    def _new_evaluation(
        self,
        recorder: Recorder | NoRecorder,
        dryrun: bool,
        cache: bool,
        context: Mapping[str, Any],
        overrides: Mapping[str, Any],
    ) -> Evaluation:
        log = self._log = self._event_log()
        plans = Plans(overrides, self.executors.options, recorder.new_task, self.captures_files)
        self._counts = plans.counts
        limits = self._limits_now = Limits(self.limits)
        calls = Calls(plans, Cache(self.store, log), recorder, self.executors, limits, log, cache)
        evaluation = Evaluation(calls, self, dryrun, merge(self._configured_context(), context))
        calls.evaluation = evaluation
        if self._kept_characters and recorder.records and not dryrun:
            calls.outputs = Outputs(self._kept_characters)
        calls.cache.restores = not dryrun
        if self.remotes and cache and recorder.records:
            from redun.evaluation.others import Others
            from redun.readthrough import opener

            calls.others = Others(calls, opener(self.store, self._whole_config(), self.remotes, dryrun))
        if self.job_status_interval is not None and log.enabled:
            evaluation.status_clock = StatusClock(self.job_status_interval, self._show_status_now)
        return evaluation

    def _root_records(self, root: Any, overrides: Mapping[str, Any]) -> bool:
        """False if the root task has `prov=False`: then there is no execution to record anything of."""
        options = {**root.task.get_task_options(), **(root.task_options or {}), **overrides}
        return options.get("prov") is not False

    def _recorder(self, execution: ExecutionRecord, records: bool, dryrun: bool) -> Recorder | NoRecorder:
        if records and not dryrun:
            return Recorder(self.store.source, execution)
        from redun.evaluation.unrecorded import DryRecorder, NoRecorder

        return DryRecorder(self.store.source, execution) if dryrun else NoRecorder()

    def _run(self, evaluation: Evaluation, root_expr: Any, lease: AbstractContextManager[Any]) -> Node:
        """Run an evaluation to its end and report; return the root node."""
        calls = evaluation.calls
        recorder, log = calls.recorder, calls.log
        before = get_current_scheduler(required=False)
        set_current_scheduler(self)
        self._running = True
        self._evaluation = evaluation
        self.executors.begin(evaluation.completions)
        started = time.monotonic()
        self.last_call = ""
        try:
            ask = partial(evaluation.completions.put, Abort(KeyboardInterrupt()))
            with capturing(calls.outputs is not None), lease, raised_thresholds(), Interruption(ask, self._leave):
                if recorder.records:
                    recorder.commit()
                try:
                    root = evaluation.run(root_expr)
                    if root.error is not None:
                        evaluation.finish_running()
                except KeyboardInterrupt:
                    # What was recorded stays, and the next run goes on from there.
                    self.executors.kill()
                    evaluation.take_finished()
                    calls.record_outputs()
                    recorder.end(Status.CANCELLED, "interrupted by the user")
                    raise
                except StoreError:
                    # There is nowhere to write its end to.
                    raise
                except Exception as error:
                    calls.record_outputs()
                    recorder.end(Status.FAILED, f"{type(error).__qualname__}: {error_text(error)}")
                    raise
                calls.record_outputs()
                self._close(recorder, root)
            self._report(calls, log, time.monotonic() - started)
            self.failure = root.error
            self._tell_failure(calls, root.error, log)
            if calls.root_job is not None and calls.root_job.call is not None:
                self.last_call = calls.root_job.call.hex()
            return root
        finally:
            if calls.others is not None:
                calls.others.close()
            log.flush()
            self.store.source.let_go()
            if self._handle_states is not None:
                self._handle_states.end()
            self.executors.stop()
            self._running = False
            self._evaluation = None
            self._log = None
            set_current_scheduler(before)

    def _leave(self) -> None:
        # In a signal handler nothing is imported. Without the module no script runs, nor while it is just being imported.
        kill_scripts = getattr(sys.modules.get("redun.scripting"), "kill_scripts", None)
        if kill_scripts is not None:
            kill_scripts()
        if self.on_leave is not None:
            self.on_leave()

    def _close(self, recorder: Recorder | NoRecorder, root: Node) -> None:
        if root.error is None:
            recorder.end(Status.DONE)
        else:
            recorder.end(Status.FAILED, f"{type(root.error).__qualname__}: {error_text(root.error)}")

    def _report(self, calls: Calls, log: EventLog, duration_s: float) -> None:
        log.line()
        for line in self.get_job_status_report():
            log.line(line)
        log.line()
        if calls.plans.without_namespace and "namespace" not in self.ignore_warnings:
            names = ", ".join(calls.plans.without_namespace)
            log.warning(
                f"no namespace for {names}: tasks of other scripts may have the same names. Set redun_namespace in the module "
                "or namespace=... in @task, or say ignore_warnings = namespace in section [scheduler] of redun.ini"
            )
        log.line(f"Execution duration: {duration_s:.2f} seconds")

    def _execution(
        self, expr: Any, argv: list[str] | None, tags: Iterable[tuple[str, Any]], execution_id: str | None
    ) -> ExecutionRecord:
        try:
            identity = uuid.UUID(execution_id) if execution_id is not None else uuid.uuid4()
        except ValueError:
            raise SchedulerError(f"execution id {execution_id!r} must be a UUID") from None
        if execution_id is not None and self.store.source.read_ref(f"executions/{identity}") is not None:
            raise SchedulerError(f"execution id {execution_id!r} has been used already: give another one")
        return ExecutionRecord(
            id=identity.bytes,
            argv=list(argv) if argv is not None else ["scheduler.run", format_value(expr)],
            start_us=time.time_ns() // 1000,
            host=who.host_name(),
            user=who.user_name() or str(os.getuid()),
            pid=os.getpid(),
            cwd=os.getcwd(),
            version=__version__,
            tags=list(check_tags(tags)),
        )
