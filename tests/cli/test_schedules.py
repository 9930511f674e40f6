"""`jobd schedules ...`: what people are shown and may do, with no daemon running."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobd import Jobd
from jobd.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


Say = Callable[..., tuple[str, str]]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run `jobd schedules ...`; give what it printed, and what it complained of."""

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert main(["schedules", *arguments]) == code
        said = capsys.readouterr()
        return said.out, said.err

    return run


def asked(say: Say, *arguments: str) -> Any:
    return json.loads(say(*arguments, "--json")[0])


def test_schedules_are_listed_with_their_zone(app: Jobd, say: Say) -> None:
    """For programs without arguments; for people with when, next and last."""
    assert "no schedule in namespace 'jobd'" in say("list")[1]
    put = app.queue("reports").schedules.put
    put("digest", "send", {"secret": 1}, cron="0 9 * * *", tz="Europe/Berlin")
    put("tidy", "tidy", every="5m")
    app.queue("other").schedules.put("off", "tidy", cron="@daily")
    app.queue("other").schedules.pause("off")

    out, _ = say("list")
    assert "0 9 * * * (Europe/Berlin)" in out
    assert "every 5m" in out
    assert " CET (in " in out or " CEST (in " in out
    assert "@daily (UTC)" in out
    assert "paused" in out
    rows = asked(say, "list", "--queue", "reports")
    assert [row["name"] for row in rows] == ["digest", "tidy"]
    assert "args" not in rows[0]
    assert (rows[0]["tz"], rows[1]["every"], rows[0]["paused"]) == ("Europe/Berlin", 300, False)


def test_one_is_paused_resumed_run_and_removed_by_its_name(app: Jobd, say: Say) -> None:
    """On the queue that has it, or the one that is named."""
    for queue in ("a", "b"):
        app.queue(queue).schedules.put("both", "t", every="5m")
    app.queue("a").schedules.put("one", "t", {"n": 1}, every="5m")

    assert say("pause", "one") == ("paused one on a\n", "")
    assert asked(say, "resume", "one") == {"name": "one", "queue": "a", "outcome": "resumed"}
    assert "both" in say("pause", "both", code=64)[1]
    assert say("pause", "both", "--queue", "b")[0] == "paused both on b\n"
    ran = asked(say, "run", "one")
    assert (ran["queue"], ran["task"]) == ("a", "t")
    assert app.queue("a").job(ran["id"]).info().args == {"n": 1}  # type: ignore[union-attr]
    assert say("run", "one")[0].startswith("enqueued ")
    app.queue("a").schedules.put("once", "t", {"n": 2}, every="5m", unique=True)
    ran = asked(say, "run", "once")
    assert asked(say, "run", "once") == ran | {"outcome": "duplicate"}
    assert say("remove", "one")[0] == "removed one on a\n"
    assert "'one': not there; there are both, both; did" not in say("run", "one", code=66)[1]
    assert "did you mean 'both'?" in say("preview", "bothh", code=66)[1]


def test_the_next_runs_of_a_schedule(app: Jobd, say: Say) -> None:
    """In its own zone and in UTC."""
    app.queue("q").schedules.put("n", "t", cron="0 9 * * *", tz="Asia/Kathmandu")
    runs = asked(say, "preview", "n", "-n", "3")
    assert [run["local"][11:] for run in runs] == ["09:00:00+05:45"] * 3
    assert [run["utc"][11:] for run in runs] == ["03:15:00Z"] * 3
    assert len({run["slot"] for run in runs}) == 3
    app.queue("q").schedules.pause("n")
    out, _ = say("preview", "n")
    assert "n on q: 0 9 * * * (Asia/Kathmandu)" in out
    assert "paused: none of these runs" in out


@pytest.mark.parametrize(
    ("arguments", "remarks"),
    [
        (("30 2 * * *", "Europe/Berlin", "2026-03-28", "3"), ["", "the clocks skip 02:30: it runs at the end of the gap", ""]),
        (("30 2 * * *", "Europe/Berlin", "2026-10-25", "2"), ["the clocks show this twice: it runs the first time", ""]),
        (("0 * * * *", "Europe/Berlin", "2026-03-29T01:00", "2"), ["", "the clocks went forward: no 02:00"]),
        (("*/30 * * * *", "Australia/Lord_Howe", "2026-10-04T01:30", "2"), ["", "the clocks went forward: no 02:00"]),
        (("*/20 1 * * *", "America/New_York", "2026-11-01T01:40", "2"),
         ["the clocks show this twice: the first time", "the clocks show this twice: the second time"]),
        (("0 9 * * *", "Pacific/Apia", "2011-12-30", "2"), ["the clocks skip 09:00: it runs at the end of the gap", ""]),
        (("0 9 * * *", "UTC", "2026-01-01", "1"), [""]),
    ],
)  # fmt: skip
def test_what_is_odd_is_remarked(
    say: Say, arguments: tuple[str, str, str, str], remarks: list[str]
) -> None:
    """Without asking Redis."""
    line, tz, start, count = arguments
    runs = asked(say, "preview", "--cron", line, "--tz", tz, "--from", start, "-n", count)
    assert [run["remark"] for run in runs] == remarks


def test_what_makes_no_sense_is_refused(say: Say) -> None:
    """With the nearest right one."""
    assert "did you mean '25 0 * * *'?" in say("preview", "--cron", "0 25 * * *", code=64)[1]
    assert "drop either" in say("preview", "n", "--cron", "* * * * *", code=64)[1]
    assert "expected one of the two" in say("preview", code=64)[1]
    assert "as in 2026-10-24" in say("preview", "--every", "5m", "--from", "soon", code=64)[1]
    assert "there is none" in say("pause", "n", code=66)[1]
    assert "expected 1 to 128 characters" in say("pause", "a b", code=64)[1]
    assert "no such command" in say("rum", code=64)[1]
