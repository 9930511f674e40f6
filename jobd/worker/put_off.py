"""The ending of a run that its task wants later, and charged to nobody: Snooze and Throttle."""

from __future__ import annotations

from jobd.broker.commands import Claimed, Ending
from jobd.core.verdict import Counters, Postpone


def put_off(job: Claimed, verdict: Postpone, after: Counters, why: str, figures: str) -> Ending:
    """Spell it. `after` are the counters with this run; `why` is for people."""
    delay_ms = round(verdict.delay * 1000)
    fields: dict[str, str | bytes | int] = {"error": why}
    if verdict.whole_queue:
        fields["throttled"] = after.throttled
        return Ending("throttle", job.id, job.claim, figures, delay_ms, "throttled", fields)
    fields["snoozed"] = after.snoozed
    return Ending("retry", job.id, job.claim, figures, delay_ms, "snoozed", fields)
