"""Import path of `DockerExecutor`, which is not there yet."""

from redun.executors.absent import AbsentExecutor


class DockerExecutor(AbsentExecutor):
    """Would run jobs in Docker containers."""

    where = "in Docker containers"


__all__ = ["DockerExecutor"]
