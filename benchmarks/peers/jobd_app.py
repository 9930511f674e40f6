"""The jobd application of the suite: one queue, its four tasks. Loaded by `jobd run`."""

from typing import Any

from benchmarks.peers.recorder import mixed, nap, noop, timed
from jobd import Jobd

app = Jobd()
bench = app.queue("bench")

# Any: the tasks differ in their parameters, and the producer picks one by name.
TASKS: dict[str, Any] = {
    "noop": bench.task("noop")(noop),
    "nap": bench.task("nap")(nap),
    "timed": bench.task("timed")(timed),
    "mixed": bench.task("mixed")(mixed),
}
