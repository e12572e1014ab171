"""An executor that collects jobs and runs them in one go, as a queue of a cluster would."""

import threading

from redun import task
from redun.executors.base import Executor

redun_namespace = "redun.examples.custom_executor"


class QueueExecutor(Executor):
    """Runs jobs when nothing has been submitted for a while, in the order of their priority."""

    def __init__(self, name, scheduler=None, config=None):
        super().__init__(name, scheduler, config)
        self.pause_s = float(self.config.get("pause", "0.1"))
        self.jobs = []
        self.lock = threading.Lock()
        self.timer = None

    def submit(self, job):
        with self.lock:
            self.jobs.append(job)
            if self.timer is not None:
                self.timer.cancel()
            self.timer = threading.Timer(self.pause_s, self.run_all)
            self.timer.start()

    def run_all(self):
        with self.lock:
            jobs, self.jobs = self.jobs, []
        jobs.sort(key=lambda job: -job.get_option("priority", 0))
        self.log(f"runs {', '.join(job.task.name for job in jobs)}")
        for job in jobs:
            args, kwargs = job.args
            try:
                self.scheduler.done_job(job, job.task.func(*args, **kwargs))
            except Exception as error:
                self.scheduler.reject_job(job, error)


@task(executor="nightly")
def report(day: str) -> str:
    return f"report of {day}"


@task(executor="nightly", priority=10)
def back_up(name: str) -> str:
    return f"{name} is safe"


@task()
def main() -> list[str]:
    return [report("Monday"), back_up("the archive")]
