"""A workflow that is started on an executor rather than here; see README.md."""

import os

from redun import task

redun_namespace = "redun.examples.launch"


@task()
def count(answers: list[str]) -> dict[str, int]:
    """Return how often each answer was given."""
    return {answer: answers.count(answer) for answer in sorted(set(answers))}


@task()
def main() -> dict[str, int]:
    """Return the result of the survey."""
    return count(["yes", "no", "yes", "yes"])


@task(cache=False)
def where() -> list[str]:
    """Return the files that this runs among."""
    return sorted(os.listdir())
