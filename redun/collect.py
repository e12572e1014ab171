"""Garbage collection as a user means it: executions go by policy, and with them what only they led to."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from redun.eviction import choose
from redun.pruning import prune
from redun.retention import Decision, Policy, decide, tags_gone
from redun.store.errors import StoreUnavailable
from redun.store.gc import READERS_WAIT_S, Plan, Report
from redun.store.object_graph import Progress, silent

if TYPE_CHECKING:
    from redun.store.repository import Store


@dataclass
class Collected:
    """What a gc did, or would do.

    Attributes:
        decision: what became of each execution.
        report: what the store held and holds.
        values: values that went although calls name them: (id, bytes), in the order in which they went.
        over: bytes that are left beyond the policy's `max_size`, as nothing more may go.
    """

    decision: Decision
    report: Report
    values: list[tuple[str, int]] = field(default_factory=list)
    over: int = 0


def collect(
    store: Store,
    policy: Policy | None = None,
    *,
    tasks: Collection[str] = (),
    dry_run: bool = False,
    progress: Progress = silent,
    readers_wait_s: float = READERS_WAIT_S,
) -> Collected:
    """Delete what a policy does not keep, beside whoever works in the store.

    Args:
        policy: what stays; by default every execution.
        tasks: drop results of these tasks only: all, or as many as `policy.max_size` asks for.
        dry_run: find out, and delete nothing.
        progress: is told how far it is.
        readers_wait_s: how long to wait for processes that read an old state of the store.

    Raises:
        StoreError: the store is in memory, cannot be read, or cannot be written.
    """
    if store.readonly and not dry_run:
        raise StoreUnavailable(
            f"store {str(store.folder)!r} is open for reading only: nothing can be deleted from it, but --dry-run can tell what would be"
        )
    policy = policy or Policy()
    decision = decide(store, policy)
    wants = policy.max_size is not None or bool(tasks)
    plan = Plan(
        store,
        decision.refs,
        tags_gone=tags_gone(store),
        choose=choose(store, policy.max_size, tasks) if wants else None,
        progress=progress,
    )
    values = [(plan.graph.id(number).hex(), plan.graph.sizes[number]) for number in plan.dropped]
    if dry_run:
        report = plan.report()
    else:
        report = plan.carry_out(readers_wait_s=readers_wait_s)
        prune(store, plan, progress)
    over = 0 if policy.max_size is None else max(0, report.after.total[1] - policy.max_size)
    return Collected(decision, report, values, over)
