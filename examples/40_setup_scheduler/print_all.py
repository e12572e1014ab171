"""Print pages on an executor that only the project's own set-up knows."""

from __future__ import annotations

from redun import task

redun_namespace = "redun.examples.print_all"


@task(executor="press", limits=["printer"])
def print_page(page: int) -> str:
    """Print one page."""
    return f"page {page}"


@task()
def main(pages: int = 3) -> list[str]:
    """Print some pages."""
    return [print_page(page + 1) for page in range(pages)]
