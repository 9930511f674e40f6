"""The measures by the names of the command line, in the order of the report."""

from collections.abc import Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.measures import (
    adding,
    against,
    concurrency,
    dashboard,
    durability,
    importing,
    memory,
    mixed,
    pickup,
    preloading,
    retention,
    sleeping,
    throughput,
    waiting,
)
from benchmarks.outcome import Outcome

ALL: Mapping[str, Callable[[Bench], Outcome]] = {
    "throughput": throughput.measure,
    "adding": adding.measure,
    "pickup": pickup.measure,
    "sleeping": sleeping.measure,
    "concurrency": concurrency.measure,
    "mixed": mixed.measure,
    "waiting": waiting.measure,
    "memory": memory.measure,
    "durability": durability.measure,
    "importing": importing.measure,
    "retention": retention.measure,
    "preloading": preloading.measure,
    "dashboard": dashboard.measure,
}
#: What `--against` runs, and nothing else does.
AGAINST: Mapping[str, Callable[[Bench], Outcome]] = {"against": against.measure}
#: Those that have no peer in them: nothing is installed for them.
ALONE = frozenset({"concurrency", "preloading", "retention", "dashboard", "against"})
