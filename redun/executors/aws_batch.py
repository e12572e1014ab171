"""Import path of `AWSBatchExecutor`, which is not there yet."""

from redun.executors.absent import AbsentExecutor


class AWSBatchExecutor(AbsentExecutor):
    """Would run jobs on AWS Batch."""

    where = "on AWS Batch"


__all__ = ["AWSBatchExecutor"]
