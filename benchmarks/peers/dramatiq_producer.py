"""Adds jobs to dramatiq, which has no bulk adding of its own."""

from benchmarks.peers import produce
from benchmarks.peers.dramatiq_app import ACTORS


def _one(task: str, job: produce.Args) -> None:
    ACTORS[task].send(**job)


if __name__ == "__main__":
    produce.main(_one)
