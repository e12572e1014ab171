"""Import path of `AWSGlueExecutor`, which is not there yet."""

from redun.executors.absent import AbsentExecutor


class AWSGlueExecutor(AbsentExecutor):
    """Would run jobs on AWS Glue."""

    where = "on AWS Glue"


__all__ = ["AWSGlueExecutor"]
