"""`jobd jobs retry|cancel|delete|run-now`: by id, by filter, and what is never done by mistake."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.api import die

from jobd import Jobd, Queue
from jobd.cli.main import main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> None:
    """A directory without a file, and Redis named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)


Ask = Callable[..., Any]


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `jobd jobs ... --json`; give what it printed."""

    def run(*arguments: str, code: int = 0) -> Any:
        assert main(["jobs", *arguments, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def q(redis_url: str) -> Queue:
    return Jobd(redis_url).queue("q")


def test_dead_letters_are_found_and_retried_by_what_is_known_of_them(ask: Ask, q: Queue) -> None:
    """By queue, task and a part of the error; the others stay dead."""
    wanted = die(q, 3, "mail", "SMTPError: Connection refused")
    die(q, 2, "mail", "ValueError")
    die(q, 2, "report", "ConnectionError: refused")
    filters = ("--queue", "q", "--task", "mail", "--error", "connection REFUSED")

    assert {job["id"] for job in ask("list", "--state", "dead", *filters)} == set(wanted)
    dry = ask("retry", *filters, "--dry-run")
    assert (dry["counts"], q._producer.views().counts("q")["dead"]) == ({"dead": 3}, 7)
    done = ask("retry", *filters)

    assert done["counts"] == {"retried": 3}
    assert {job["id"] for job in done["jobs"]} == set(wanted)
    counts = q._producer.views().counts("q")
    assert (counts["waiting"], counts["dead"]) == (3, 4)


def test_they_are_told_apart_by_what_they_died_of_and_by_the_shape_of_their_error(
    ask: Ask, q: Queue
) -> None:
    """Each filter is one of the list and of the verbs."""
    crashed, failed, other = (
        *die(q, 2, "mail", "no answer in 30 s"),
        *die(q, 1, "mail", "no answer"),
    )
    q._producer.client.hset(f"jobd:{{q}}:job:{crashed}", "cause", "poison")
    filters = ("--state", "dead", "--like", "no answer in # s")

    assert {job["id"] for job in ask("list", *filters)} == {crashed, failed}
    assert ask("list", "--cause", "lost") == []
    assert [job["id"] for job in ask("list", *filters, "--cause", "poison")] == [crashed]
    assert ask("retry", *filters, "--cause=failed")["counts"] == {"retried": 1}
    assert [q.job(each).state() for each in (crashed, failed, other)] == ["dead", "waiting", "dead"]
    q._producer.client.zincrby("jobd:{q}:dead", -8 * 86_400_000, other)
    assert ask("delete", "--newer-than", "7d")["counts"] == {"deleted": 1}
    assert q.job(other).state() == "dead"


def test_more_than_a_page_is_done_whole(ask: Ask, q: Queue) -> None:
    """Each once, also where a scan meets what is on the move."""
    for _ in range(6):
        die(q, 200)

    done = ask("retry", "--state", "dead")

    assert done["counts"] == {"retried": 1200}
    assert q._producer.views().counts("q")["waiting"] == 1200


def test_old_ones_are_deleted_and_young_ones_stay(ask: Ask, q: Queue) -> None:
    """The age of an ended job counts from its end."""
    old, young = die(q, 2)
    q._producer.client.zincrby("jobd:{q}:dead", -8 * 86_400_000, old)

    assert [j["id"] for j in ask("list", "--older-than", "7d")] == [old]
    assert ask("delete", "--queue", "q", "--older-than", "7d")["counts"] == {"deleted": 1}
    assert (q.job(old).state(), q.job(young).state()) == (None, "dead")


def test_whatever_still_may_run_is_cancelled(ask: Ask, q: Queue) -> None:
    """Waiting, delayed and active; what has ended is left alone."""
    die(q, 1)
    q.add("runs")
    store = q._producer.store("q")
    store.claim("w.1", 30_000)
    q.add("waits")
    q.add("later", delay="1h")

    assert ask("cancel", "--queue", "q")["counts"] == {"cancelled": 2, "asked": 1}
    assert [order.word for order in store.heed()] == ["cancel"]
    assert ask("cancel", "--queue", "q", "--force")["counts"] == {"asked": 1}
    assert [order.word for order in store.heed()] == ["kill"]
    assert q._producer.views().counts("q")["dead"] == 1


def test_delayed_jobs_run_now(ask: Ask, q: Queue) -> None:
    """And no job of another task."""
    q.add("a", delay="1h")
    q.add("b", delay="1h")
    assert ask("run-now", "--task", "a")["counts"] == {"waiting": 1}
    assert q._producer.views().counts("q")["delayed"] == 1


def test_ids_are_found_in_any_queue_and_each_has_its_word(ask: Ask, q: Queue) -> None:
    """A named job that it was not done to is an exit code too."""
    [dead] = die(q, 1)
    waits = q.add("work").id

    done = ask("retry", dead, waits, "nobody", code=66)

    assert [(j["id"], j["queue"], j["word"]) for j in done["jobs"]] == [
        (dead, "q", "retried"), (waits, "q", "waiting"), ("nobody", "", "gone"),
    ]  # fmt: skip
    assert ask("delete", waits, "--dry-run", code=66)["counts"] == {"waiting": 1}
    assert ask("cancel", waits, dead)["counts"] == {"cancelled": 2}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["delete"], "no job named; expected ids, or a filter"),
        (["retry", "a", "--task", "b"], "ids and a filter; expected one of the two"),
        (["retry", "--state", "completed"], "expected one of dead, cancelled"),
        (["delete", "--older-than", "soon"], "expected a duration such as '30s'"),
        (["cancel", "--task", "a b"], "--task"),
        (["cancel", "a b"], "job id"),
        (["run-now", "--force", "a"], "no such option"),
    ],
)
def test_an_unclear_command_does_nothing(
    capsys: pytest.CaptureFixture[str], q: Queue, arguments: list[str], said: str
) -> None:
    """Above all never everything, by an empty line."""
    die(q, 1)
    assert main(["jobs", *arguments]) == 64
    assert said in capsys.readouterr().err
    assert q._producer.views().counts("q")["dead"] == 1


def test_a_misspelled_queue_is_not_an_empty_one(
    q: Queue, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script must not take one for the other."""
    Jobd(q._producer.url).queue("reports").add("t")
    assert main(["jobs", "retry", "--queue", "report"]) == 66
    assert "did you mean 'reports'?" in capsys.readouterr().err
    assert main(["jobs", "retry", "--queue", "reports"]) == 0


def test_people_get_a_line_and_no_bar_in_a_pipe(
    capsys: pytest.CaptureFixture[str], q: Queue
) -> None:
    """Progress is for terminals."""
    die(q, 2)
    assert main(["jobs", "retry", "--queue", "q", "--dry-run"]) == 0
    out = capsys.readouterr()
    assert "would retry: 2 dead" in out.out
    assert out.err == ""
    assert main(["jobs", "retry", "--queue", "q"]) == 0
    assert capsys.readouterr().out == "retry: 2 retried\n"


def test_the_same_from_a_program(q: Queue) -> None:
    """`Queue.find`, and the verbs for one and for many, by handle and by id."""
    ids = die(q, 3, "mail", "refused")
    die(q, 1, "report")

    found = list(q.find("dead", task="mail", error="REFUSED"))
    assert sorted(handle.id for handle in found) == sorted(ids)
    assert list(q.find("dead", older_than="1h")) == []
    assert q.retry(found[:2]) == {found[0].id: "retried", found[1].id: "retried"}
    assert q.delete(found[2]) == {found[2].id: "deleted"}
    assert q.cancel(found[0].id) == {found[0].id: "cancelled"}
    assert q.run_now(["nobody"]) == {"nobody": "gone"}


def test_what_dies_while_the_dead_are_walked_is_left_for_the_next_time(ask: Ask, q: Queue) -> None:
    """Or jobs that fail at once would be retried without end. Here it dies a minute from now."""
    now, later = die(q, 2)
    q._producer.client.zincrby("jobd:{q}:dead", 60_000, later)

    assert ask("retry", "--queue", "q")["jobs"] == [{"id": now, "queue": "q", "word": "retried"}]


def test_a_group_is_found_and_a_lock_that_is_held_is_told(ask: Ask, q: Queue) -> None:
    """Of two with the same lock one comes back; the other has its word, and stays."""
    once = {"unique": {"key": "k"}}
    first = q.add("work", {}, group="eu", **once)
    q.cancel(first)
    second = q.add("work", {}, group="eu", **once)
    q.cancel(second)
    q.cancel(q.add("work", {}, group="us"))
    found = ask("list", "--state", "cancelled", "--group", "eu")
    assert {(job["id"], job["group"], job["unique"]) for job in found} == {
        (first.id, "eu", "finished"),
        (second.id, "eu", "finished"),
    }

    done = ask("retry", first.id, second.id, code=66)

    assert {job["id"]: job["word"] for job in done["jobs"]} == {
        first.id: "retried",
        second.id: "duplicate",
    }
    assert second.state() == "cancelled"
