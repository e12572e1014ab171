"""Import path of `GCPBatchExecutor`, which is not there yet."""

from redun.executors.absent import AbsentExecutor


class GCPBatchExecutor(AbsentExecutor):
    """Would run jobs on Google Cloud Batch."""

    where = "on Google Cloud Batch"


__all__ = ["GCPBatchExecutor"]
