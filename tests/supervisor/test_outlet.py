"""What workers write to their descriptors becomes records, within bounds, and nobody waits for it."""

from __future__ import annotations

import os
import threading

from hypothesis import given
from hypothesis import strategies as st

from jobd.core.events import Event
from jobd.core.output import BURST, LONGEST, RATE
from jobd.core.output_events import OutputDropped, TaskErrorOutput
from jobd.supervisor.outlet import Outlet, Run
from jobd.supervisor.outlets import Outlets

RUN = Run("job-1", "resize")


def nobody() -> Run | None:
    return None


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, TaskErrorOutput)]


def dropped(events: list[Event]) -> int:
    return sum(event.bytes for event in events if isinstance(event, OutputDropped))


def test_a_line_is_labelled_with_the_slot_and_with_the_job_that_runs_there() -> None:
    (event,) = Outlet("q.1").take(b"segfault\n", 0.0, lambda: RUN)

    assert event == TaskErrorOutput(
        slot="q.1", stream="fd", task="resize", job="job-1", text="segfault"
    )


def test_which_job_runs_is_asked_only_for_a_record() -> None:
    def unasked() -> Run | None:
        raise AssertionError

    outlet = Outlet("q.1")
    assert outlet.take(b"\n", 0.0, unasked) == []
    assert outlet.take(b"half", 0.0, unasked) == []
    assert texts(outlet.end(lambda: RUN)) == ["half"]


@given(
    writes=st.lists(
        st.tuples(st.integers(0, 3 * BURST), st.floats(0.0, 10.0)), min_size=1, max_size=12
    )
)
def test_what_is_logged_and_what_is_dropped_is_all_and_no_more_than_allowed(
    writes: list[tuple[int, float]],
) -> None:
    outlet, now, logged, lost = Outlet("q.1"), 0.0, 0, 0
    for size, later in writes:
        now += later
        line = b"y" * 1023 + b"\n"
        events = outlet.take(line * (size // 1024), now, nobody)
        logged += sum(len(text) + 1 for text in texts(events))
        lost += dropped(events)
    lost += dropped(outlet.end(nobody))

    assert logged + lost == sum(size // 1024 * 1024 for size, _ in writes)
    assert logged <= BURST + RATE * now + LONGEST


def test_last_words_are_read_after_their_writer_is_gone() -> None:
    said: list[Event] = []
    outlets = Outlets(said.append)
    opened = outlets.open("n.1", "q.1")
    assert opened is not None
    reader, writer = opened
    assert outlets.reader("n.1") == reader
    assert outlets.read("n.1", 0.0, nobody)  # nothing yet: it does not wait
    os.write(writer, b"Fatal Python error\nlast")
    os.close(writer)

    assert not outlets.read("n.1", 0.0, nobody) or not outlets.read("n.1", 0.0, nobody)
    outlets.close("n.1", nobody)
    assert texts(said) == ["Fatal Python error", "last"]
    assert outlets.reader("n.1") is None
    assert not outlets.read("n.1", 0.0, nobody)
    outlets.close("n.1", nobody)  # a second time nothing happens


def test_one_that_writes_without_end_does_not_hold_its_reader() -> None:
    """Each reading ends after a bounded amount, and most of it is dropped and counted."""
    said: list[Event] = []
    outlets = Outlets(said.append)
    opened = outlets.open("n.1", "q.1")
    assert opened is not None
    _, writer = opened
    whole = 64 << 20
    ends = threading.Event()

    def flood() -> None:
        chunk = (b"z" * 79 + b"\n") * 800
        for _ in range(whole // len(chunk)):
            os.write(writer, chunk)
        os.close(writer)
        ends.set()

    threading.Thread(target=flood).start()
    while outlets.read("n.1", 0.0, nobody):
        pass
    assert ends.wait(5)
    outlets.close("n.1", nobody)
    logged = sum(len(text) + 1 for text in texts(said))
    assert BURST <= logged <= BURST + 80
    assert logged + dropped(said) == whole // 64_000 * 64_000
