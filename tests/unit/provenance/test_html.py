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


def test_calls_tasks_values_and_expressions_have_html() -> None:
    scheduler = Scheduler(logger=False)
    scheduler.run(shout("<a>"))
    provenance = Provenance(scheduler.store)
    (job,) = provenance.jobs(provenance.execution("-"))
    assert job.call is not None
    call = provenance.call(job.call)
    assert "<code>&#x27;&lt;A&gt;&#x27;</code>" in call._repr_html_()
    assert call.id in call._repr_html_()
    assert "<code>&#x27;&lt;A&gt;&#x27;</code>" in call.result._repr_html_()
    assert "return text.upper()" in provenance.task(job.task_hash)._repr_html_()
    large = provenance.value(_result_of(scheduler, shout("b" * 100)))
    assert large.id in large._repr_html_()
    expression = shout(shout("<"))
    assert expression._repr_html_().startswith("<code>html.shout(html.shout(&#x27;&lt;&#x27;))</code>")  # type: ignore[attr-defined]
    # What a notebook probes for, to tell objects that have every attribute.
    assert not hasattr(expression, "_ipython_canary_method_should_not_exist_")
    assert not hasattr(expression, "_repr_mimebundle_")
    assert hasattr(expression, "_private")


def _result_of(scheduler: Scheduler, expression: object) -> str:
    scheduler.run(expression)
    provenance = Provenance(scheduler.store)
    (job,) = provenance.jobs(provenance.execution("-"))
    assert job.call is not None
    return provenance.call(job.call).result.id


def test_runs_inside_a_running_loop() -> None:
    async def cell() -> list[str]:
        scheduler = Scheduler(logger=False)
        return [scheduler.run(shout("a")), scheduler.run(waits("b"))]

    assert asyncio.run(cell()) == ["A", "B"]
