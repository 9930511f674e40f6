"""When and how a run ended that was not its job's last: seen, or known from what ended it."""

from __future__ import annotations

from examples.shop.show.accident import Accident
from examples.shop.show.runs import Run
from examples.shop.tasks import PATIENCE


def broke(run: Run, accident: Accident | None) -> tuple[float, str]:
    """Give the instant (monotonic) and the event: "it failed", "the SIGKILL", ..."""
    if run.ended_at is not None:
        return run.ended_at, "it failed" if run.how == "fail" else "an end nobody recorded"
    if accident is not None and run.pid == accident.pid:
        return accident.at, "the SIGKILL"
    if run.task == "supplier-stock":
        return run.started_at + PATIENCE, "its timeout"
    # What crashes here does so at its start, as `cover` does.
    return run.started_at, "its process crashed"
