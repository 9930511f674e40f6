"""What workers write to their descriptors becomes records, within bounds, and nobody waits for it."""

from __future__ import annotations

import os
import select
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.core.events import Event
from jobd.core.output import BURST, LAST_WORDS, LONGEST, RATE
from jobd.core.output_events import HelperOutput, OutputDropped, TaskErrorOutput
from jobd.supervisor.outlet import Outlet, Run, of_worker
from jobd.supervisor.outlets import Outlets

RUN = Run("job-1", "resize")


def nobody() -> Run | None:
    return None


def texts(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, TaskErrorOutput)]


def dropped(events: list[Event]) -> int:
    return sum(event.bytes for event in events if isinstance(event, OutputDropped))


def test_a_line_is_labelled_with_the_slot_and_with_the_job_that_runs_there() -> None:
    (event,) = Outlet("q.1", of_worker("q.1")).take(b"segfault\n", 0.0, lambda: RUN)

    assert event == TaskErrorOutput(
        slot="q.1", stream="fd", task="resize", job="job-1", text="segfault"
    )


def test_which_job_runs_is_asked_only_for_a_record() -> None:
    def unasked() -> Run | None:
        raise AssertionError

    outlet = Outlet("q.1", of_worker("q.1"))
    assert outlet.take(b"\n", 0.0, unasked) == []
    assert outlet.take(b"half", 0.0, unasked) == []
    assert texts(outlet.end(lambda: RUN)) == ["half"]


@settings(max_examples=25)
@given(
    writes=st.lists(
        st.tuples(st.integers(0, 3 * BURST), st.floats(0.0, 10.0)), min_size=1, max_size=12
    )
)
def test_what_is_logged_and_what_is_dropped_is_all_and_no_more_than_allowed(
    writes: list[tuple[int, float]],
) -> None:
    outlet, now, logged, lost = Outlet("q.1", of_worker("q.1")), 0.0, 0, 0
    for size, later in writes:
        now += later
        line = b"y" * 1023 + b"\n"
        events = outlet.take(line * (size // 1024), now, nobody)
        logged += sum(len(text) + 1 for text in texts(events))
        lost += dropped(events)
    last = outlet.end(nobody)
    logged += sum(len(text) + 1 for text in texts(last))
    lost += dropped(last)

    assert logged + lost == sum(size // 1024 * 1024 for size, _ in writes)
    assert logged <= BURST + RATE * now + LONGEST + LAST_WORDS


def test_a_crash_after_a_flood_says_why() -> None:
    outlet = Outlet("q.1", of_worker("q.1"))
    flood = outlet.take((b"z" * 1000 + b"\n") * 4000, 0.0, nobody)
    silence = outlet.take(b"Fatal Python error: Segmentation fault\n", 0.1, nobody)
    last = outlet.end(lambda: RUN)

    assert texts(flood)
    assert texts(silence) == []
    assert isinstance(last[0], OutputDropped)
    assert texts(last)[-1] == "Fatal Python error: Segmentation fault"
    assert len(texts(last)) <= 5


def read_all(outlets: Outlets) -> None:
    """Hear all there is: hearing takes a bounded part each time."""
    while select.select([outlets], [], [], 0)[0]:
        outlets.hear(no_run)


def no_run(_incarnation: str) -> Run | None:
    return None


def opened(outlets: Outlets, incarnation: str = "n.1") -> int:
    writer = outlets.open(incarnation, "q.1")
    assert writer is not None
    return writer


def test_last_words_are_read_after_their_writer_is_gone() -> None:
    said: list[Event] = []
    outlets = Outlets(workers=said.append, helpers=said.append)
    writer = opened(outlets)
    outlets.hear(no_run)  # nothing yet: it does not wait
    os.write(writer, b"Fatal Python error\nlast")
    os.close(writer)
    outlets.end("n.1", no_run)

    assert texts(said) == ["Fatal Python error", "last"]
    outlets.end("n.1", no_run)  # a second time nothing happens
    assert not select.select([outlets], [], [], 0)[0]


def test_a_pipe_nobody_can_write_to_is_closed_whatever_became_of_its_worker() -> None:
    """An order that was refused, a preloader that died with it, a worker that closed 1 and 2."""
    outlets = Outlets(workers=[].append, helpers=[].append)
    before = len(os.listdir("/proc/self/fd"))
    for number in range(50):
        os.close(opened(outlets, f"n.{number}"))
    read_all(outlets)

    assert len(os.listdir("/proc/self/fd")) == before


def test_a_helper_that_is_started_again_has_a_pipe_of_its_own() -> None:
    """Somebody may still hold the one of its predecessor: a program that was started at import."""
    said: list[Event] = []
    outlets = Outlets(workers=[].append, helpers=said.append)
    first, second = outlets.open_helper("keeper"), outlets.open_helper("keeper")
    assert first is not None
    assert second is not None
    os.write(second, b"Traceback\n")
    read_all(outlets)
    os.close(first)
    os.close(second)
    read_all(outlets)

    assert said == [HelperOutput(helper="keeper", text="Traceback")]


def test_what_an_ended_worker_left_running_writes_to_nobody() -> None:
    outlets = Outlets(workers=[].append, helpers=[].append)
    writer = opened(outlets)
    outlets.end("n.1", no_run)

    with pytest.raises(BrokenPipeError):
        os.write(writer, b"I am still here\n")
    os.close(writer)


def test_those_that_write_without_end_do_not_keep_the_loop_or_each_other() -> None:
    """One hearing reads a bounded amount, of each in turn; most of it is dropped and counted."""
    said: list[Event] = []
    outlets = Outlets(workers=said.append, helpers=said.append)
    whole = 32 << 20
    chunk = (b"z" * 79 + b"\n") * 800
    ends = [threading.Event() for _ in range(2)]

    def flood(writer: int, ended: threading.Event) -> None:
        for _ in range(whole // len(chunk)):
            os.write(writer, chunk)
        os.close(writer)
        ended.set()

    for number, ended in enumerate(ends):
        writer = opened(outlets, f"n.{number}")
        threading.Thread(target=flood, args=(writer, ended)).start()
    while not all(ended.is_set() for ended in ends):
        outlets.hear(no_run)
    read_all(outlets)

    written = 2 * (whole // len(chunk)) * len(chunk)
    logged = sum(len(text) + 1 for text in texts(said))
    assert 0 < logged < written / 4
    assert logged + dropped(said) == written
