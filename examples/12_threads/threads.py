"""Work that begins now and is waited for later, in another task."""

from redun import task
from redun.scheduler import fork_thread, join_thread

redun_namespace = "redun.examples.threads"


@task()
def download(name: str) -> str:
    return f"contents of {name}"


@task()
def index(text: str) -> int:
    return len(text)


@task()
def begin(names: list[str]) -> list:
    """Begin the downloads. This task ends at once: a thread is a value, and need not have ended to be returned."""
    return [fork_thread(index(download(name))) for name in names]


@task()
def prepare() -> str:
    return "a table"


@task()
def fill(table: str, threads: list) -> dict:
    """Wait for the threads where their results are needed."""
    return {"into": table, "sizes": [join_thread(thread) for thread in threads]}


@task()
def main(names: list[str] = ["a.txt", "second.txt"]) -> dict:
    """Prepare while the downloads go on."""
    return fill(prepare(), begin(names))
