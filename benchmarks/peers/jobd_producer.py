"""Adds jobs to jobd by its public Python API, as an application would."""

from benchmarks.peers import produce
from benchmarks.peers.jobd_app import TASKS, bench


def _one(task: str, job: produce.Args) -> None:
    TASKS[task].enqueue(**job)


def _many(task: str, jobs: list[produce.Args]) -> None:
    bench.add_many([(task, job) for job in jobs])


if __name__ == "__main__":
    produce.main(_one, _many)
