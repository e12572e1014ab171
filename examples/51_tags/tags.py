"""Tags on tasks, jobs, values and executions."""

from redun import apply_tags, task

redun_namespace = "redun.examples.tags"


@task(tags=[("step", "load"), ("cost", 1)])
def load(name: str) -> list[int]:
    return [len(name), 4, 9]


@task(tags=[("step", "fit")])
def fit(data: list[int]) -> float:
    return sum(data) / len(data)


@task()
def main(name: str = "wine") -> float:
    model = fit.options(tags=[("step", "fit"), ("trial", 7)])(load(name))
    return apply_tags(model, tags=[("kind", "model"), ("data", name)], execution_tags=[("data", name)])
