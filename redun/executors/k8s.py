"""Import path of `K8SExecutor`, which is not there yet."""

from redun.executors.absent import AbsentExecutor


class K8SExecutor(AbsentExecutor):
    """Would run jobs on Kubernetes."""

    where = "on Kubernetes"


__all__ = ["K8SExecutor"]
