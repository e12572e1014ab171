"""Settings that reach every task without being passed from call to call."""

from redun import get_context, task

redun_namespace = "redun.examples.context"


@task()
def connect(host: str = get_context("database.host", "localhost"), port: int = get_context("database.port", 5432)) -> str:
    """Say where the data are. Callers need not know that there is a host at all."""
    return f"{host}:{port}"


@task()
def count_rows(table: str, address: str) -> str:
    return f"rows of {table} at {address}"


@task()
def report(table: str) -> str:
    return count_rows(table, connect())


@task()
def main() -> dict:
    """Make the same report twice, once for the archive."""
    archive = report.update_context({"database": {"host": "archive"}})
    return {"today": report("orders"), "archive": archive("orders")}
