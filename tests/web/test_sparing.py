"""Failures that come again and again: none is hidden, none floods."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.events import DaemonReady, Event
from jobd.core.web_events import WebFailed
from jobd.web.sparing import EVERY, MOST, Sparing


@dataclass
class Told:
    """What has come through, and when; the time is ours."""

    now: float = 1000.0
    events: list[tuple[float, Event]] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append((self.now, event))


failures = st.tuples(st.sampled_from(["/a", "/b"]), st.sampled_from(["x", "y"]))


@given(happens=st.lists(st.tuples(failures, st.floats(0, 50)), max_size=60))
def test_the_same_failure_is_told_at_once_and_once_a_minute(
    happens: list[tuple[tuple[str, str], float]],
) -> None:
    told = Told()
    sparing = Sparing(told.emit, clock=lambda: told.now)
    last: dict[tuple[str, str], float] = {}
    expected = []
    for (path, why), pause in happens:
        told.now += pause
        event = WebFailed(path=path, why=why)
        if told.now - last.get((path, why), -EVERY) >= EVERY:
            last[path, why] = told.now
            expected.append((told.now, event))
        sparing(event)
    assert told.events == expected


def test_many_different_ones_are_no_flood_either_and_another_event_is_no_failure() -> None:
    told = Told()
    sparing = Sparing(told.emit, clock=lambda: told.now)
    for number in range(10 * MOST):
        sparing(WebFailed(path=f"/{number}", why="x"))
        sparing(DaemonReady(workers=number))
    assert len([event for _, event in told.events if isinstance(event, WebFailed)]) == MOST
    assert len(told.events) == 11 * MOST
    told.now += EVERY
    sparing(WebFailed(path="/again", why="x"))
    assert told.events[-1] == (told.now, WebFailed(path="/again", why="x"))
