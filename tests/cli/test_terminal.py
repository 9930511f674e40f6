"""What people see: on terminals of two widths, in a pipe, and when a task's words are hostile."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from jobd import Jobd
from jobd.broker.commands import Ending

LONG = "monthly-revenue-report-for-all-customers"
EVIL = "first\nsecond \x1b[2J \x9b31m [bold] \x00 end"


@pytest.fixture
def ids(redis_url: str) -> list[str]:
    """Three jobs: one waits, one comes later, one is dead of something hostile."""
    app = Jobd(redis_url)
    queue = app.queue("reports")
    dead = queue.add(LONG, {"n": 1})
    store = app.producer.store("reports")
    store.join("w.1", 30_000)
    number = store.claim("w.1", 30_000).number
    store.settle(
        "w.1",
        30_000,
        endings=[Ending("dead", dead.id.encode(), number, "?|0|0|0", 0, "failed", {"error": EVIL})],
    )
    return [dead.id, queue.add(LONG, {}).id, queue.add("later", {}, delay="1h").id]


Show = Callable[..., str]


@pytest.fixture
def show(redis_url: str, tmp_path: Path) -> Show:
    """Run `jobd ...` on a terminal of some columns; give the bytes it was sent, as text."""

    def run(*arguments: str, columns: int = 80, typed: str = "", **environment: str) -> str:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        clean = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
        process = subprocess.Popen(
            [sys.executable, "-m", "jobd", *arguments, "--redis-url", redis_url],
            cwd=tmp_path, stdout=theirs, stderr=theirs, stdin=theirs, env=clean | environment,
        )  # fmt: skip
        os.close(theirs)
        os.write(ours, typed.encode())
        said = b""
        try:
            while chunk := os.read(ours, 65536):
                said += chunk
        except OSError:
            pass  # the terminal's other side is closed: all is said
        os.close(ours)
        assert process.wait(60) == 0, said
        return said.decode().replace("\r\n", "\n")

    return run


def lines(said: str) -> list[str]:
    return re.sub(r"\x1b\[\d+m", "", said).splitlines()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_list_fits_its_terminal_and_ids_stay_whole(
    show: Show, ids: list[str], columns: int
) -> None:
    """Remarks go below, names are shortened, ids are there to be copied."""
    shown = lines(show("jobs", "list", columns=columns))

    assert max(map(len, shown)) <= columns
    assert [line[:36] for line in shown if line[:36] in ids] == [ids[1], ids[2], ids[0]]
    assert (LONG in shown[1]) == (columns == 120)
    below = [line for line in shown if line.startswith("    ")]
    assert below[0].startswith("    due in 59m") or below[0].startswith("    due in 1h")
    assert below[1].startswith("    cause failed, first\\nsecond")


def test_nothing_a_terminal_obeys_comes_out(show: Show, ids: list[str]) -> None:
    """An error's escapes are shown, not sent; and brackets are no markup."""
    for command in (["jobs", "list"], ["jobs", "show", ids[0]], ["status"]):
        said = re.sub(r"\x1b\[(?:[01]|3[13])m", "", show(*command, columns=200))  # ours
        assert said.replace("\n", "").isprintable(), command
    assert "\\x1b[2J \\x9b31m [bold] \\x00 end" in show("jobs", "show", ids[0], columns=200)


def test_colour_is_for_terminals_that_want_it(show: Show, ids: list[str], redis_url: str) -> None:
    """Not in a pipe, and not with NO_COLOR."""
    assert show("queues", "list").startswith("\x1b[1mQUEUE")
    assert show("queues", "list", NO_COLOR="1").startswith("QUEUE")
    piped = subprocess.run(
        [sys.executable, "-m", "jobd", "jobs", "list", "--redis-url", redis_url],
        capture_output=True, text=True, check=True, cwd="/",
    )  # fmt: skip
    assert "\x1b" not in piped.stdout
    assert all(len(line.split("  ")) > 1 for line in piped.stdout.splitlines())
    [dead] = [line for line in piped.stdout.splitlines() if line.startswith(ids[0])]
    assert LONG in dead
    assert dead.endswith("end")


def test_numbers_stand_in_line(show: Show, ids: list[str]) -> None:
    """To the right, under their heads."""
    shown = lines(show("queues", "list", columns=80))

    assert len({len(line) for line in shown}) == 1
    assert shown[0].split() == [
        "QUEUE", "WAITING", "DELAYED", "ACTIVE", "COMPLETED", "DEAD", "CANCELLED",
    ]  # fmt: skip
    assert shown[1].split() == ["reports", "1", "1", "0", "0", "1", "0"]


def test_an_empty_list_says_where_it_looked(redis_url: str, ids: list[str], tmp_path: Path) -> None:
    """A queue that was misspelled is not an empty one."""

    def said(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "jobd", "jobs", "list", *arguments, "--redis-url", redis_url],
            capture_output=True, text=True, check=True, cwd=tmp_path,
        )  # fmt: skip
        assert done.stdout == ""
        return done.stderr.strip()

    assert said("--queue", "report") == (
        "no queue 'report'; there are reports; did you mean 'reports'?"
    )
    assert said("--queue", "reports", "--state", "active") == "no active job in queue 'reports'"
    assert said("--state", "active") == "no active job in any queue"


def test_long_work_shows_a_bar_on_a_terminal(show: Show, ids: list[str]) -> None:
    """And at its end what was done."""
    said = show("jobs", "retry", "--queue", "reports")

    assert "retry  [####" in said
    assert "100%" in said
    assert lines(said)[-1] == "retry: 1 retried"


def test_purge_asks_for_the_queue_s_name(show: Show, ids: list[str]) -> None:
    """It says what it would remove, shows how far it is, and leaves the rest."""
    said = show("queues", "purge", "reports", typed="reports\n")

    assert "This removes 1 waiting and 1 delayed jobs of queue 'reports', for good." in said
    assert "Type the queue's name to go on: " in said
    assert "purge  [####" in said
    assert lines(said)[-1] == "purge: 2 removed"
    assert lines(show("queues", "list"))[1].split() == ["reports", "0", "0", "0", "0", "1", "0"]


def test_why_fits_its_terminal(show: Show, ids: list[str]) -> None:
    """Broken between words; nothing that a terminal obeys comes out."""
    said = show("why", ids[0], columns=80)

    assert max(map(len, lines(said))) <= 80
    assert "first second \\x1b[2J" in " ".join(said.split())
    assert said.replace("\n", "").isprintable()
