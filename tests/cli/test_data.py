"""The commands that add and show jobs, on a real server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jobd.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command with --json; give what it printed."""

    def run(*arguments: str) -> Any:
        assert main([*arguments, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


def test_a_job_is_added_and_shown(ask: Any) -> None:
    """Arguments are JSON where they are JSON, else text."""
    added = ask(
        "enqueue", "email", "welcome", "--arg", "user_id=7", "--arg", "to=a@b.example",
        "--arg", "tags=[1, 2]", "--priority", "2", "--job-id", "w-7",
    )  # fmt: skip
    assert added == {"id": "w-7", "queue": "email", "task": "welcome", "outcome": "enqueued"}

    shown = ask("jobs", "show", "w-7")
    assert shown["args"] == {"user_id": 7, "to": "a@b.example", "tags": [1, 2]}
    assert (shown["state"], shown["priority"], shown["queue"]) == ("waiting", 2, "email")
    assert ask("jobs", "show", "w-7", "--queue", "email") == shown
    assert ask("enqueue", "email", "welcome", "--job-id", "w-7")["outcome"] == "duplicate"


def test_arguments_are_one_object_and_options_are_those_of_a_call(ask: Any) -> None:
    """What most people would write first; any option that adding takes, by its name."""
    later = ask(
        "enqueue", "email", "welcome", '{"user_id": 7, "to": "a@b.example"}', "--option", "attempts=3",
        "--option", "timeout=90s", "--option", "group=trials", "--option", "unique=true",
        "--option", "run_after=2099-01-01T00:00:00Z", "--option", 'meta={"trace": "x"}',
    )["id"]  # fmt: skip

    job = ask("jobs", "show", later)
    assert job["args"] == {"user_id": 7, "to": "a@b.example"}
    assert job["options"] == {"attempts": 3, "timeout": 90}
    assert (job["state"], job["group"], job["meta"]) == ("delayed", "trials", {"trace": "x"})
    again = ask("enqueue", "email", "welcome", "--args", '{"user_id": 7, "to": "a@b.example"}',
                "--option", "unique=true")  # fmt: skip
    assert (again["outcome"], again["id"]) == ("duplicate", later)


def test_a_wrong_option_of_a_call_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With the nearest right one; none is given twice."""
    for given, said in (
        (["--option", "atempts=3"], "did you mean 'attempts'?"),
        (["--option", "attempts"], "expected NAME=VALUE"),
        (["--option", "priority=3", "--priority", "4"], "given twice"),
        (["--option", "run_after=2099-13-01T00:00"], "run_after"),
        (["--arg", "a=1"], "expected one of"),
        (["--from", "x"], "expected one of the two"),
    ):
        assert main(["enqueue", "q", "t", "{}", *given]) == 64
        assert said in capsys.readouterr().err


def test_queues_and_jobs_are_listed(ask: Any) -> None:
    """By queue and by state; never with arguments."""
    ids = [ask("enqueue", "a", "t", "--json-args", '{"secret": 1}')["id"] for _ in range(3)]
    later = ask("enqueue", "b", "t", "--delay", "1h")["id"]

    counts = {each["queue"]: each["jobs"] for each in ask("queues", "list")}
    assert (counts["a"]["waiting"], counts["b"]["delayed"], counts["b"]["waiting"]) == (3, 1, 0)
    assert [job["id"] for job in ask("jobs", "list", "--queue", "a")] == ids
    assert [job["id"] for job in ask("jobs", "list", "--state", "delayed")] == [later]
    assert len(ask("jobs", "list", "--limit", "2")) == 2
    assert "secret" not in json.dumps(ask("jobs", "list"))


@pytest.mark.parametrize("thing", ["queues", "jobs", "schedules", "alerts"])
def test_a_thing_alone_is_its_list(
    thing: str, ask: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """`jobd queues` is `jobd queues list`, and takes its options; with a word that is none it is refused."""
    ask("enqueue", "a", "t", "--job-id", "one")

    assert ask(thing) == ask(thing, "list")
    assert main([thing]) == 0
    capsys.readouterr()
    assert main([thing, "--lst"]) == 64
    assert f"jobd {thing} list" in capsys.readouterr().err


def test_a_list_alone_takes_its_filters(ask: Any) -> None:
    """Also those with a value, that is no name of a command."""
    ask("enqueue", "a", "t", "--job-id", "one")
    ask("enqueue", "b", "t", "--job-id", "two")

    assert [job["id"] for job in ask("jobs", "--queue", "b")] == ["two"]
    assert ask("config")["values"] == ask("config", "show")["values"]


def test_several_states_are_listed(ask: Any) -> None:
    """Each that is named, none of them silently dropped; by default all are."""
    ask("enqueue", "a", "t", "--job-id", "one")
    ask("enqueue", "a", "t", "--job-id", "two", "--delay", "1h")
    ask("enqueue", "a", "t", "--job-id", "three")
    ask("jobs", "cancel", "three")

    either = ask("jobs", "list", "--state", "cancelled", "--state", "delayed")
    assert {job["id"] for job in either} == {"two", "three"}
    assert len(ask("jobs", "list")) == 3


def test_people_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids are whole, whatever the width, and brackets are no markup."""
    assert main(["enqueue", "a", "t", "--job-id", "x" * 128, "--arg", "k=[bold]"]) == 0
    for command in (["queues", "list"], ["jobs", "list"], ["jobs", "show", "x" * 128]):
        assert main(command) == 0
    said = capsys.readouterr().out

    assert said.count("x" * 128) == 3
    assert "QUEUE" in said
    assert '{"k":"[bold]"}' in said


def test_nothing_yet(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Empty is not an error; a job that is not there is."""
    assert ask("queues", "list") == []
    assert ask("jobs", "list") == []
    assert main(["queues", "list"]) == 0
    assert main(["jobs", "show", "none"]) == 66
    assert "not recorded in any queue" in capsys.readouterr().err


def test_status_without_a_daemon(ask: Any, tmp_path: Path) -> None:
    """The queues are shown all the same."""
    ask("enqueue", "a", "t")
    status = ask("status", "--runtime-dir", str(tmp_path / "none"))

    assert status["daemon"] is None
    assert status["queues"]["a"]["waiting"] == 1
    assert status["redis"]["error"] is None
