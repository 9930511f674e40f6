"""Lines of the log, and what systemd is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec
import pytest

from jobd.core.events import DaemonDraining, HelperStarted, WorkerDied
from jobd.seams.log import Log
from jobd.seams.systemd import Notifier

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


def test_systemd_hears_everything_and_children_do_not_speak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        notifier = Notifier()
        assert "NOTIFY_SOCKET" not in os.environ
        notifier.ready()
        notifier.status("all\nwell")
        notifier.alive()
        notifier.stopping()
        heard = [server.recv(100).decode() for _ in range(4)]
        notifier.close()
    assert heard == ["READY=1", "STATUS=all well", "WATCHDOG=1", "STOPPING=1"]


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().ready()
