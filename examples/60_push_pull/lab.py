"""Two people who share what they have computed."""

from redun import task

redun_namespace = "redun.examples.push_pull"


@task()
def measure(sample: str) -> int:
    """Stand for something that takes hours."""
    return sum(map(ord, sample))


@task()
def main(samples: list[str] = ["a1", "a2", "b7"]) -> dict[str, int]:
    """Measure some samples."""
    return {sample: measure(sample) for sample in samples}
