"""What the dashboard and its API list: rows, pages, one job, groups of the dead; on real servers."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.broker.browse import Browser
from jobd.broker.browse_pages import MOST_ROWS
from jobd.broker.commands import Blame, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store, register_queues
from jobd.core.errors import BrokerError, OptionError
from jobd.core.states import DEAD, DELAYED, STATES

LEASE = 30_000
NOW = 1_800_000_000_000


def store(client: Client, queue: str = "q", at: int = NOW) -> Store:
    register_queues(client, "t", [queue])
    return Store(client, "t", queue, now=at)


def browser(client: Client, at: int = NOW) -> Browser:
    return Browser(client, "t", now=at)


def kill(client: Client, errors: dict[str, str], queue: str = "q", at: int = NOW) -> None:
    """Have jobs of these ids die of these errors."""
    s = store(client, queue, at)
    s.add([NewJob(i, "mail", b'{"secret":1}') for i in errors])
    s.join("w.1", LEASE)
    claim = s.claim("w.1", LEASE, budget_us=10**9, costs=["mail", 1])
    endings = [
        Ending(
            "dead", job.id, claim.number, "mail|0|0|0", 0, "failed",
            fields={"error": errors[job.id.decode()], "failed": "3"},
        )
        for job in claim.jobs
    ]  # fmt: skip
    assert s.settle("w.1", LEASE, endings=endings) == []


def test_a_row_says_what_is_known_of_a_job_and_nothing_of_its_payload(client: Client) -> None:
    """In each state; the first line of an error, cut."""
    kill(client, {"d": "\n  KeyError: 7\nand more"})
    s = store(client)
    s.add([NewJob("w", "mail", b"{}", priority=2, options=b'{"group":"g"}')])
    s.add([NewJob("later", "mail", b"{}", due="+500")])
    s.add([NewJob("runs", "bill", b"{}", priority=1)])
    [run] = s.claim("w.1", LEASE, limit=1, budget_us=10**9, costs=["mail", 1]).jobs
    rows = {state: browser(client).page("q", state).rows for state in STATES}

    assert rows["completed"] == rows["cancelled"] == []
    [dead], [waits], [later], [active] = (
        rows[state] for state in (DEAD, "waiting", DELAYED, "active")
    )
    assert (dead.id, dead.error, dead.cause, dead.attempts) == ("d", "KeyError: 7", "failed", 3)
    assert (dead.finished_at, dead.enqueued_at, dead.due_at) == (NOW, NOW, None)
    assert (waits.id, waits.priority, waits.group, waits.queue) == ("w", 2, "g", "q")
    assert (later.id, later.due_at, later.task_paused) == ("later", NOW + 500, False)
    assert (active.id, active.task, active.worker) == (run.id.decode(), "bill", "w.1")
    assert active.claimed_at == NOW
    assert not hasattr(dead, "args")


def test_jobs_of_a_paused_task_are_due_at_no_time(client: Client) -> None:
    """They stand among the delayed with a score that is no time."""
    s = store(client)
    s.add([NewJob("a", "mail", b"{}")])
    s.pause("mail")
    s.join("w.1", LEASE)
    assert s.claim("w.1", LEASE, budget_us=10**9, costs=["mail", 1]).jobs == []

    [row] = browser(client).page("q", DELAYED).rows
    assert (row.task_paused, row.due_at) == (True, None)


def test_a_filter_gives_a_cursor_where_it_has_looked_at_enough(client: Client) -> None:
    """However few it has found, and says how many it looked at."""
    kill(client, {f"j{n:03}": "boom" if n == 7 else "bang" for n in range(50)})
    look = browser(client)

    found, cursor, calls = list[str](), None, 0
    while calls == 0 or cursor:
        page = look.page("q", DEAD, error="BOOM", most=20, cursor=cursor)
        found += [row.id for row in page.rows]
        assert page.scanned <= 20
        assert page.total is None
        cursor, calls = page.next, calls + 1
    assert (found, calls) == (["j007"], 3)
    assert look.page("q", DEAD, limit=5).total == 50


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"state": "ended"}, "state: 'ended'"),
        ({"queue": "a b"}, "queue: 'a b'"),
        ({"limit": 0}, "limit: 0"),
        ({"limit": MOST_ROWS + 1}, "limit: 201"),
        ({"cursor": "!"}, "cursor: '!'"),
        ({"cursor": ""}, "cursor: ''"),
        ({"cursor": "x" * 70_000}, "cursor: 'xxx"),
        ({"cursor": "ü"}, "cursor: 'ü'"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(
    client: Client, wrong: dict[str, Any], named: str
) -> None:
    """Before anything is sent."""
    given = {"queue": "q", "state": DEAD} | wrong

    with pytest.raises(OptionError, match=named):
        browser(client).page(**given)


def test_a_cursor_of_another_state_is_refused(client: Client) -> None:
    """It means nothing there."""
    kill(client, {"a": "x", "b": "x"})
    cursor = browser(client).page("q", DEAD, limit=1).next

    assert browser(client).page("q", DEAD, limit=1, cursor=cursor).next is None
    with pytest.raises(OptionError, match="expected one that a page of this state gave"):
        browser(client).page("q", "waiting", cursor=cursor)


def test_records_that_are_none_are_shown_all_the_same(client: Client) -> None:
    """Whatever stands in the place of a record, or in it: bytes, other types, numbers that are none."""
    client.zadd("t:{q}:dead", {b"gone": 3, b"\xff\x00<b>": 2, b"string": 1, b"odd": 0})
    client.set("t:{q}:job:string", "x")
    client.hset(
        "t:{q}:job:odd",
        mapping={
            "task": b"\xff",
            "error": b"\xfe\x00",
            "at": "inf",
            "priority": "?",
            "options": "[",
        },
    )
    rows = browser(client).page("q", DEAD).rows

    assert [row.id for row in rows] == ["gone", "\ufffd\x00<b>", "string", "odd"]
    assert [row.task for row in rows] == ["?", "?", "?", "\ufffd"]
    assert (rows[3].enqueued_at, rows[3].priority, rows[3].error) == (None, 5, "\ufffd\x00")
    client.set("t:{q}:waiting", "x")
    with pytest.raises(BrokerError, match="waiting is a string, expected"):
        browser(client).page("q", "waiting")


def test_a_full_store_can_be_looked_at(client: Client) -> None:
    """At maxmemory people look."""
    kill(client, {"a": "x"})
    client.config_set("maxmemory", "1")

    assert len(browser(client).page("q", DEAD).rows) == 1
    assert browser(client).dead_groups().sampled == 1
    assert browser(client).find("a") is not None


def test_one_job_is_found_in_whichever_queue(client: Client) -> None:
    """With its payload, and that alone."""
    kill(client, {"a": "x"}, "q")
    kill(client, {"b": "x"}, "other")

    found = browser(client).find("b")
    assert found is not None
    assert (found.queue, found.args) == ("other", {"secret": 1})
    assert browser(client).find("c") is None
    assert browser(client).find("b", "q") is None


def test_the_dead_are_grouped_by_what_killed_them(client: Client) -> None:
    """Numbers, ids and addresses make no other kind; the newest is the example."""
    kill(client, {f"k{n}": f"KeyError: {n}\nline {n}" for n in range(5)}, at=NOW)
    kill(client, {"k5": "KeyError: 0x7f00", "v": "ValueError: no"}, at=NOW + 9)
    kill(client, {"o": "KeyError: 1"}, "other", at=NOW + 5)

    found = browser(client).dead_groups()
    assert (found.sampled, found.total) == (8, 8)
    rows = [
        (g.queue, g.task, g.like, g.count, g.first_at, g.last_at, g.example) for g in found.groups
    ]
    assert rows == [
        ("q", "mail", "KeyError: #", 6, NOW, NOW + 9, "k5"),
        ("q", "mail", "ValueError: no", 1, NOW + 9, NOW + 9, "v"),
        ("other", "mail", "KeyError: #", 1, NOW + 5, NOW + 5, "o"),
    ]
    assert len(browser(client).dead_groups("other").groups) == 1
    page = browser(client).page("q", DEAD, like="KeyError: #")
    assert {row.id for row in page.rows} == {f"k{n}" for n in range(6)}


def test_what_is_remembered_of_the_dead_is_as_true_as_what_is_read(client: Client) -> None:
    """One Browser that looks again and again, beside one that looks first; and it reads less."""
    kill(client, {f"k{n}": f"KeyError: {n}" for n in range(5)}, at=NOW)
    kill(client, {f"o{n}": "OSError" for n in range(3)}, "other", at=NOW)
    old = browser(client)
    assert old.dead_groups() == browser(client).dead_groups()

    kill(client, {"new": "ValueError"}, at=NOW + 1)
    store(client).delete(["k1", "o1"])
    assert old.dead_groups() == browser(client).dead_groups()
    store(client).retry(["k2"])
    kill(client, {"k2": "TypeError", "k9": "KeyError: 9"}, at=NOW + 2)
    assert old.dead_groups("q") == browser(client).dead_groups("q")
    assert old.dead_groups() == browser(client).dead_groups()
    client.config_resetstat()
    assert old.dead_groups().sampled == 9
    calls = client.info("commandstats")
    assert "cmdstat_hmget" not in calls


def test_of_very_many_dead_the_newest_are_sampled_over_all_queues(client: Client) -> None:
    """And it says of how many; a queue whose dead are old uses up nothing."""
    for n in range(300):
        client.zadd("t:{new}:dead", {f"n{n}": NOW + n})
        client.zadd("t:{old}:dead", {f"o{n}": n})
    register_queues(client, "t", ["new", "old"])

    found = browser(client).dead_groups(most=250)
    assert (found.sampled, found.total) == (250, 600)
    assert [(g.queue, g.count, g.last_at) for g in found.groups] == [("new", 250, NOW + 299)]


def test_a_worker_that_gave_up_its_jobs_is_passed(client: Client) -> None:
    """Blame or not: pages of what runs go by worker, whoever is there."""
    s = store(client)
    for worker in ("w.1", "w.2", "w.3"):
        s.add([NewJob(f"{worker}-{n}", "mail", b"{}") for n in range(3)])
        s.join(worker, LEASE)
        s.claim(worker, LEASE, limit=3, budget_us=10**9, costs=["mail", 1])
    first = browser(client).page("q", "active", limit=4)
    s.release("w.2", [Blame("w.2-0", "crashes")])
    rest = browser(client).page("q", "active", limit=4, cursor=first.next)

    assert [row.worker for row in first.rows] == ["w.1"] * 3 + ["w.2"]
    assert [row.worker for row in rest.rows] == ["w.3"] * 3
    assert (first.total, rest.next) == (9, None)
