"""Lines of the log."""

from __future__ import annotations

import os

import msgspec
import pytest

from jobd.core.events import DaemonDraining, HelperStarted, WorkerDied
from jobd.core.output_events import AppOutput, TaskErrorOutput
from jobd.seams.log import Log

DIED = WorkerDied(
    slot="q.1", incarnation="n.1", cause="crash", how="SIGSEGV", jobs=("a", "b"), restart_in=0.1
)


def written(style: str, *events: object, level: str = "info") -> list[str]:
    reader, writer = os.pipe()
    log = Log(style=style, level=level, role="supervisor", fd=writer, bound={"host": "h"})
    for event in events:
        log(event)  # type: ignore[arg-type]
    os.close(writer)
    with os.fdopen(reader) as pipe:
        return pipe.read().splitlines()


def test_json_is_one_record_a_line_with_the_fixed_fields_first() -> None:
    (line,) = written("json", DIED)
    record = msgspec.json.decode(line)
    assert list(record)[:5] == ["ts", "level", "event", "role", "host"]
    assert (record["level"], record["event"], record["jobs"]) == (
        "error",
        "worker.died",
        ["a", "b"],
    )


def test_console_and_journal_are_for_people() -> None:
    (console,) = written("console", DIED)
    assert "restart_in=100ms" in console
    assert "jobs=a,b" in console
    (journal,) = written("journal", DaemonDraining(grace=25.0))
    assert journal == "<6>supervisor: daemon.draining  host=h grace=25s"


def test_what_tasks_print_is_shown_as_it_was_printed_and_does_nothing_to_a_terminal() -> None:
    printed = TaskErrorOutput(
        slot="email.1", task="welcome", job="0193", text='\x1b[31mhe said\t"no"\x1b[0m\x07\x1b]0;t'
    )
    (console,) = written("console", printed)
    assert console[9:] == r'warning email.1    welcome 0193 | he said "no"\u0007\u001b]0;t'
    (journal,) = written("journal", AppOutput(app="a:b", text="x  y"))
    assert journal == "<6>supervisor: app.output       host=h app=a:b stream=stdout | x  y"
    (line,) = written("json", printed)
    assert msgspec.json.decode(line)["text"] == printed.text


def test_what_is_not_known_is_not_told() -> None:
    (line,) = written("json", TaskErrorOutput(slot="q.1", text="whose?"))
    assert not {"job", "task"} & msgspec.json.decode(line).keys()


def test_lower_levels_are_left_out_and_auto_is_json_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert written("auto", HelperStarted(helper="keeper")) == []
    (line,) = written("auto", HelperStarted(helper="keeper"), level="debug")
    assert msgspec.json.decode(line)["helper"] == "keeper"


def test_a_log_nobody_reads_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Log(style="json", level="info", role="supervisor", fd=writer)(DIED)
    os.close(writer)
