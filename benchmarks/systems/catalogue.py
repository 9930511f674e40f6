"""Every system that can be a row, built once the peers are installed. Used by the command line."""

from dataclasses import dataclass

from benchmarks.install import Peers
from benchmarks.systems.base import System
from benchmarks.systems.bullmq import BullMQ
from benchmarks.systems.dramatiq import Dramatiq
from benchmarks.systems.jobd import KEEP_NOTHING, JobdSystem

#: Every key there is, for the command line: the systems below, the floors, the ways of adding.
KEYS = (
    *(
        "jobd",
        "jobd-lean",
        "bullmq",
        "bullmq-serial",
        "dramatiq",
        "dramatiq-default",
        "dramatiq-fair",
    ),
    *("one-by-one", "one-trip", "batched", "lpop100", "blpop"),
    *("evalsha", "push", "pipelined", "variadic"),
)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """jobd and its peers; the floors are constants of benchmarks.systems.floors."""

    jobd: System
    jobd_lean: System
    bullmq: System
    bullmq_serial: System
    dramatiq: System
    dramatiq_default: System
    dramatiq_fair: System


def build(peers: Peers) -> Catalogue:
    """The systems, each knowing whether it is missing here."""
    return Catalogue(
        jobd=JobdSystem("jobd", "**jobd**"),
        jobd_lean=JobdSystem("jobd-lean", "**jobd**, nothing kept", retain=KEEP_NOTHING),
        bullmq=BullMQ("bullmq", "BullMQ", peers.node, concurrency=100),
        bullmq_serial=BullMQ("bullmq-serial", "BullMQ, one at a time", peers.node, concurrency=1),
        dramatiq=Dramatiq(
            "dramatiq",
            "dramatiq",
            peers.python,
            threads=1,
            prefetch=128,
            rate=4_500,
        ),
        dramatiq_default=Dramatiq(
            "dramatiq-default",
            "dramatiq, as it comes",
            peers.python,
            threads=8,
            prefetch=None,
            rate=2_000,
        ),
        dramatiq_fair=Dramatiq(
            "dramatiq-fair",
            "dramatiq, prefetch 1",
            peers.python,
            threads=1,
            prefetch=1,
            rate=2_000,
        ),
    )
