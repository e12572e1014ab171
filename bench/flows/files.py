"""Files as values: one job for each, and all of them in one value. They lie in the folder `data`."""

from redun import File, task

redun_namespace = "bench"


@task()
def stamp(file: File) -> File:
    """Take a file and return it."""
    return file


@task()
def names(n: int) -> list[File]:
    """Return n files in one value."""
    return [File(f"data/{i // 1000}/{i}") for i in range(n)]


@task()
def count(files: list[File]) -> int:
    """Take n files in one value."""
    return len(files)


@task()
def main(n: int = 20_000) -> list[File]:
    """A job for each file."""
    return [stamp(File(f"data/{i // 1000}/{i}")) for i in range(n)]


@task()
def listed(n: int = 100_000) -> int:
    """Two jobs for all."""
    return count(names(n))
