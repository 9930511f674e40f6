"""The dramatiq application: default middleware, the tasks of the suite. Loaded by `dramatiq`."""

import os

import dramatiq  # type: ignore[import-not-found]
from dramatiq.brokers.redis import RedisBroker  # type: ignore[import-not-found]

from benchmarks.peers.recorder import TASKS

broker = RedisBroker(url=os.environ["BENCH_REDIS_URL"])
dramatiq.set_broker(broker)
ACTORS = {name: dramatiq.actor(task, actor_name=name) for name, task in TASKS.items()}
