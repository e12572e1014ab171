"""What notebooks show, and runs inside an event loop, which notebooks have."""

from __future__ import annotations

import asyncio

from redun import Scheduler, task
from redun.provenance import Provenance


@task(namespace="html")
def shout(text: str) -> str:
    return text.upper()


@task(namespace="html", cache=False)
async def waits(text: str) -> str:
    await asyncio.sleep(0)
    loud: str = await shout(text)  # type: ignore[misc]
    return loud


def test_executions_and_jobs_have_html() -> None:
    scheduler = Scheduler(logger=False)
    scheduler.run(shout("a"), exec_argv=["redun", "run", "<b>"], tags=[("k", "<i>")])
    provenance = Provenance(scheduler.store)
    execution = provenance.execution("-")
    html = execution._repr_html_()
    assert execution.id in html
    assert ">DONE</b>" in html
    assert "&lt;b&gt;" in html
    assert "k=&lt;i&gt;" in html
    assert "<i>" not in html
    (job,) = provenance.jobs(execution)
    assert "html.shout" in job._repr_html_()
    assert job.id in job._repr_html_()


def test_runs_inside_a_running_loop() -> None:
    async def cell() -> list[str]:
        scheduler = Scheduler(logger=False)
        return [scheduler.run(shout("a")), scheduler.run(waits("b"))]

    assert asyncio.run(cell()) == ["A", "B"]
