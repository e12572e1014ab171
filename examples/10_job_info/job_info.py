"""A task that knows which job runs it, for instance to name a log or a scratch folder after it."""

from redun import task
from redun.job_info import JobInfo

redun_namespace = "redun.examples.job_info"


@task(memory=4)
def simulate(seed: int, info: JobInfo = JobInfo()) -> dict:
    """Return a number, and which job made it with which options."""
    number = (seed * 1103515245 + 12345) % 1000
    return {"number": number, "made by": f"job {info.job_id[:8]}", "memory": info.options["memory"]}


@task()
def main(seeds: list[int] = [1, 2]) -> list[dict]:
    return [simulate(seed) for seed in seeds]
