"""redun: a workflow engine inside Python, on a content-addressed store.

Every name is imported when it is first asked for: a command pays for what it uses, `redun --version` for nothing.
"""

import sys
from types import ModuleType

from redun.version import __version__

# As `typing.TYPE_CHECKING`, to type checkers too; `typing` alone takes a third of the time that Python needs to start.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from redun.evaluation.current import get_current_scheduler, set_current_scheduler
    from redun.evaluation.scheduler import Scheduler
    from redun.executors.alias import AliasExecutor
    from redun.executors.aws_batch import AWSBatchExecutor
    from redun.executors.aws_glue import AWSGlueExecutor
    from redun.executors.docker import DockerExecutor
    from redun.executors.gcp_batch import GCPBatchExecutor
    from redun.executors.k8s import K8SExecutor
    from redun.executors.local import LocalExecutor
    from redun.executors.registry import register_executor
    from redun.file import Dir, File, ShardedS3Dataset
    from redun.forms import apply_tags, catch, cond, get_context, merge_handles, throw
    from redun.handle import Handle
    from redun.namespace import get_current_namespace, namespace
    from redun.running import run
    from redun.scripting import script
    from redun.task import PartialTask, Task, task
    from redun.task_registry import get_task_registry

version = __version__

_HOMES = {
    "AWSBatchExecutor": "redun.executors.aws_batch",
    "AWSGlueExecutor": "redun.executors.aws_glue",
    "AliasExecutor": "redun.executors.alias",
    "DockerExecutor": "redun.executors.docker",
    "GCPBatchExecutor": "redun.executors.gcp_batch",
    "K8SExecutor": "redun.executors.k8s",
    "register_executor": "redun.executors.registry",
    "run": "redun.running",
    "Dir": "redun.file",
    "File": "redun.file",
    "Handle": "redun.handle",
    "LocalExecutor": "redun.executors.local",
    "PartialTask": "redun.task",
    "Scheduler": "redun.evaluation.scheduler",
    "ShardedS3Dataset": "redun.file",
    "Task": "redun.task",
    "apply_tags": "redun.forms",
    "catch": "redun.forms",
    "cond": "redun.forms",
    "get_context": "redun.forms",
    "get_current_namespace": "redun.namespace",
    "get_current_scheduler": "redun.evaluation.current",
    "get_task_registry": "redun.task_registry",
    "merge_handles": "redun.forms",
    "namespace": "redun.namespace",
    "script": "redun.scripting",
    "set_current_scheduler": "redun.evaluation.current",
    "task": "redun.task",
    "throw": "redun.forms",
}


if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module 'redun' has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = [
    "AWSBatchExecutor",
    "AWSGlueExecutor",
    "AliasExecutor",
    "Dir",
    "DockerExecutor",
    "File",
    "GCPBatchExecutor",
    "Handle",
    "K8SExecutor",
    "LocalExecutor",
    "PartialTask",
    "Scheduler",
    "ShardedS3Dataset",
    "Task",
    "__version__",
    "apply_tags",
    "catch",
    "cond",
    "get_context",
    "get_current_namespace",
    "get_current_scheduler",
    "get_task_registry",
    "merge_handles",
    "namespace",
    "register_executor",
    "run",
    "script",
    "set_current_scheduler",
    "task",
    "throw",
    "version",
]


class _Package(ModuleType):
    """This package, in which `task` and `namespace` are the functions, though modules have these names, too."""

    def __setattr__(self, name: str, value: object) -> None:
        # Python puts each module into its package when it has been imported.
        if name not in _HOMES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
