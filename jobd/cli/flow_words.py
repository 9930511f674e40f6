"""What holds a queue back, in words: for the tables of `jobd queues list` and `jobd status`."""

from __future__ import annotations

from jobd.broker.flow import Flow
from jobd.core.durations import words
from jobd.seams import clock

_SHOWN = 3  # names of paused tasks


def flow_words(flow: Flow) -> str:
    """Say it in a line; '' where nothing does and nothing could."""
    now = clock.wall_ms()
    parts = []
    if flow.paused_at is not None:
        why = f": {flow.paused_why}" if flow.paused_why else ""
        parts.append(f"paused for {_span(now - flow.paused_at)}{why}")
    if flow.throttled_until is not None:
        by = f" by job {flow.throttled_by}" if flow.throttled_by else ""
        parts.append(f"throttled for {_span(flow.throttled_until - now)}{by}")
    if flow.paused_tasks:
        names = [*flow.paused_tasks[:_SHOWN]]
        if more := len(flow.paused_tasks) - _SHOWN:
            names += [f"{more} more"] if more > 0 else []
        parts.append(f"paused tasks: {', '.join(names)}")
    if flow.resuming:
        parts.append(f"tasks being resumed: {', '.join(flow.resuming[:_SHOWN])}")
    if flow.rate_max:
        rate = f"rate limit {flow.rate_max} per {words(flow.rate_ms / 1000)}"
        if flow.rate_free_at is not None:
            rate += f", used up for {_span(flow.rate_free_at - now)}"
        parts.append(rate)
    if flow.max_active:
        parts.append(f"at most {flow.max_active} active")
    return "; ".join(parts)


def _span(ms: int) -> str:
    return words(max(0, ms) / 1000)
