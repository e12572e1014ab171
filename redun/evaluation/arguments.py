"""Arguments: from what stands in an expression to values, refs and the eval hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from redun import job_info
from redun.errors import EncodeError, ValueEncodeError
from redun.evaluation.plans import key_in_context
from redun.evaluation.undecoded import Undecoded
from redun.nested import ATOMS, iter_leaves, leaf_kinds, map_leaves
from redun.store.ids import LINK_MARK
from redun.store.journal import Upstream
from redun.value import get_type_registry

if TYPE_CHECKING:
    from redun.evaluation.handles import Handles
    from redun.evaluation.job import Job
    from redun.evaluation.node import Scope


class Arguments:
    """Makes the arguments of jobs concrete.

    Args:
        handles: gives what takes handles into calls.
        takes_names: tells whether a job's executor takes arguments that are known by name only.
    """

    def __init__(self, handles: Callable[[], Handles], takes_names: Callable[[Job], bool]) -> None:
        self._handles = handles
        self._takes_names = takes_names

    def take(self, job: Job) -> None:
        """Make the arguments concrete and compute the eval hash."""
        plan = job.plan
        encoder = job.recorder.encoder
        encode: Callable[[Any], bytes] = encoder.encode
        args, kwargs = before = job.positional, job.keywords
        if job.lazy_args:
            job.upstreams = self._upstreams(job.scope, args, kwargs)
            value_of = job.scope.value
            if job.scope.lazy and self._takes_names(job):
                value_of, encode = job.scope.named, self._encode_named(job)
            args = tuple([value_of(arg) for arg in args])
            kwargs = {name: value_of(arg) for name, arg in kwargs.items()}
        wants_info = False
        if kwargs or not ATOMS.issuperset(map(type, args)):
            args, kwargs = self._preprocess(job, args, kwargs, before)
            wants_info = job_info.among(args, kwargs)
            if wants_info:
                # Every job's own is another: none may count, else no call would ever be found again.
                args, kwargs = job_info.replaced(args, kwargs, job_info.UNKNOWN)
        job.positional, job.keywords = args, kwargs
        keys: list[bytes] = []
        refs = job.arg_refs
        arg: Any = None
        try:
            for arg in args:
                ref = encode(arg)
                refs.append(ref)
                keys.append(ref if ref[0] != LINK_MARK and not encoder.counts_as else self._key(job, arg, ref))
            if kwargs:
                kwarg_keys = {}
                for name, arg in kwargs.items():
                    ref = job.kwarg_refs[name] = encode(arg)
                    kwarg_keys[name] = self._key(job, arg, ref)
            else:
                kwarg_keys = kwargs
        except EncodeError as error:
            raise ValueEncodeError(f"{self._slot(job, len(refs))} of {plan.fullname} cannot be recorded: {error}") from error
        job.eval_key = job.key = plan.eval_hash(keys, kwarg_keys)
        if wants_info:
            info = _facts(job, plan.eval_hash(keys, kwarg_keys, b""))
            job.positional, job.keywords = job_info.replaced(args, kwargs, info)
        if job.context:
            job.key = key_in_context(job)
        if not job.recorder.records:
            # Not to be taken for a recorded call, nor the other way round: only one of the two has a place in the call graph.
            job.key = b"unrecorded" + job.key

    def _encode_named(self, job: Job) -> Callable[[Any], bytes]:
        encoder = job.recorder.encoder
        return lambda arg: encoder.known(arg.ref, arg.flags) if type(arg) is Undecoded else encoder.encode(arg)

    def _key(self, job: Job, value: Any, ref: bytes) -> bytes:
        if ref[0] == LINK_MARK:
            job.recorder.needs_value(ref, value)
        encoder = job.recorder.encoder
        return encoder.key(value, ref) if encoder.counts_as else ref

    def _slot(self, job: Job, place: int) -> str:
        names = [*job.plan.names[: len(job.positional)], *job.keywords]
        place += len(job.kwarg_refs)
        return f"argument {names[place]!r}" if place < len(names) else "an argument"

    def _upstreams(self, scope: Scope, args: Iterable[Any], kwargs: dict[str, Any]) -> list[Upstream] | None:
        slots: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        found = [Upstream(slot, calls) for slot, arg in slots if type(arg) not in ATOMS and (calls := scope.calls(arg))]
        return found or None

    def _preprocess(
        self, job: Job, args: tuple[Any, ...], kwargs: dict[str, Any], before: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give values that want it a say before they become arguments (`Value.preprocess`); `before` are the unevaluated ones."""
        registry = get_type_registry()
        if not any(map(registry.has_preprocess, leaf_kinds(args) | leaf_kinds(tuple(kwargs.values())))):
            return args, kwargs

        from redun.handle import Handle

        if any(isinstance(leaf, Handle) for leaf in iter_leaves([args, kwargs])):
            handles = self._handles()
            handles.prepare(job, before)

        def prepare(leaf: Any) -> Any:
            if isinstance(leaf, Handle):
                return handles.take(job, leaf)
            return registry.preprocess(leaf, {"job": job}) if registry.has_preprocess(type(leaf)) else leaf

        return map_leaves(prepare, args), map_leaves(prepare, kwargs)


def _facts(job: Job, args_hash: bytes) -> job_info.JobInfo:
    """Return what a task may know of its job."""
    number = job.number if job.recorder.records else 0
    return job_info.JobInfo(job.execution.id, job.id, job.eval_key.hex(), args_hash.hex(), dict(job.plan.options), number)
