"""A measurement in two steps, which each of us would like to find done."""

from redun import task

redun_namespace = "redun.examples.read_through"


@task()
def measure(sample: str) -> list[int]:
    """Stand for something that takes hours."""
    return [ord(letter) for letter in sample]


@task()
def score(counts: list[int], weight: int) -> int:
    """Stand for something that takes minutes."""
    return weight * sum(counts)


@task()
def main(samples: list[str] = ["a1", "b7"], weight: int = 2) -> dict[str, int]:
    """Measure some samples and score them."""
    return {sample: score(measure(sample), weight) for sample in samples}
