"""Write-back: what a run did is brought to a repo when it has ended well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from redun.errors import RedunError
from redun.remotes import Repo, RepoError, find_repo, repos

if TYPE_CHECKING:
    from redun.config import Config
    from redun.evaluation.events import EventLog
    from redun.store.repository import Store

PUSH_OPTION = "push_on_success"


def push_target(config: Config, remotes: Sequence[str] = ()) -> Repo:
    """Return the repo to push to: what `[backend] push_on_success` names, else the one that is read through, else the only one.

    Args:
        remotes: names of the repos that are read through.

    Raises:
        RepoError: it is not known, read-only, or nothing says which.
    """
    section = config.get("backend")
    name = section.get(PUSH_OPTION, "").strip() if section is not None else ""
    known = repos(config)
    if name:
        repo = find_repo(config, name)
    else:
        candidates = [find_repo(config, one) for one in remotes] or list(known.values())
        candidates = [one for one in candidates if not one.readonly]
        if len(candidates) != 1:
            found = (
                f"there are {', '.join(one.name for one in candidates)}" if candidates else "there is none that may be written"
            )
            raise RepoError(f"cannot tell which repo to push to: {found}: option {PUSH_OPTION!r} in section [backend] names it")
        repo = candidates[0]
    if repo.readonly:
        raise RepoError(f"repo {repo.name!r} is configured as read-only: nothing is pushed there")
    return repo


def push_execution(store: Store, repo: Repo, execution: str, log: EventLog) -> None:
    """Push an execution. It is done and safe here, so that this fails is only told.

    Args:
        execution: its UUID.
    """
    from redun.sharing import push_to
    from redun.store.remote.throttle import Throttle

    log.flush()
    try:
        done = push_to(store, repo, [execution], meter=Throttle(repo.bandwidth), said=log.warning)
        objects = f"{done.objects:,} object{'' if done.objects == 1 else 's'}"
        log.line(f"Pushed {objects} ({done.sent_bytes:,} bytes sent) to {repo.name}")
    except (RedunError, OSError) as error:
        log.warning(f"not pushed to {repo.name!r}: {error}: 'redun push {repo.name} {execution[:8]}' does it later")
    except Exception as error:
        # A library of somebody else; the run has ended well.
        log.warning(f"not pushed to {repo.name!r}: {type(error).__name__}: {error}")
    log.flush()
