"""Queues, tasks, schedules, alerts and hosts as the dashboard lists them, on real servers."""

from __future__ import annotations

from threading import Thread

import msgspec
import pytest

from jobd.broker.alerts import AlertStore, Move
from jobd.broker.browse import Browser
from jobd.broker.browse_queues import QueueBrowser
from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.hosts import say
from jobd.broker.new_job import NewJob
from jobd.broker.schedules import ScheduleStore
from jobd.broker.store import Store, register_queues
from jobd.core.alerts.machine import RuleState
from jobd.core.errors import OptionError
from jobd.core.portrait import Daemon
from jobd.core.schedule import Schedule

LEASE = 3_600_000
NOW = 1_800_000_000_000  # a whole minute


def store(client: Client, at: int = NOW, queue: str = "q") -> Store:
    register_queues(client, "t", [queue])
    return Store(client, "t", queue, now=at)


def work(client: Client, ids: str, at: int, figures: str = "mail|3|5|6", bad: int = 0) -> None:
    """Run jobs; the first `bad` of them fail."""
    s = store(client, at)
    s.add([NewJob(f"{i}{at}", "mail", b"{}") for i in ids])
    s.join("h.1", LEASE)
    claim = s.claim("h.1", LEASE, budget_us=10**9, costs=["mail", 1])
    failed = [Ending("dead", j.id, claim.number, figures, 0, "failed") for j in claim.jobs[:bad]]
    done = [Completed(j.id, claim.number, figures, b"") for j in claim.jobs[bad:]]
    assert s.settle("h.1", LEASE, completed=done, endings=failed) == []


def test_a_queue_says_how_it_stands_and_how_it_gets_on(client: Client) -> None:
    """Counts, backlog, flow, minutes, rates and spreads."""
    work(client, "ab", NOW - 3 * 60_000)
    work(client, "cdef", NOW, bad=1)
    s = store(client, NOW)
    s.add([NewJob("w", "mail", b"{}"), NewJob("later", "mail", b"{}", due="+99999999")])
    s.pause(why="repairs")
    [row] = Browser(client, "t", now=NOW + 30_000).queues()

    assert row.counts == {
        "waiting": 1, "delayed": 1, "active": 0, "completed": 5, "dead": 1, "cancelled": 0,
    }  # fmt: skip
    assert (row.due, row.oldest, row.workers, row.hosts) == (1, 30.0, 1, 1)
    assert (row.paused, row.flow.paused_why) == (True, "repairs")
    assert (row.minute_at, len(row.completed), len(row.failed)) == (NOW, 60, 60)
    assert (row.completed[-4:], row.failed[-1]) == ([2, 0, 0, 3], 1)
    assert (row.throughput, row.error_rate) == (round(5 / 330, 4), round(1 / 6, 4))
    assert (row.wait.count, row.wait.p50_ms, row.run.p50_ms) == (6, 5.657, 22.627)
    assert row.spread_for is None
    msgspec.json.encode(row)


def test_spreads_are_of_the_last_minutes_where_somebody_looked_then(client: Client) -> None:
    """So that what has become slow shows; after a flush they begin anew."""
    rows = QueueBrowser(client, "t")
    work(client, "abcdefghijklmnopqrst", NOW, "mail|0|0|0")
    [first] = rows.rows(now=NOW)
    work(client, "e", NOW + 60_000, "mail|0|12|12")
    [then] = rows.rows(now=NOW + 60_000)

    assert (first.run.count, first.spread_for) == (20, None)
    assert (then.run.count, then.spread_for) == (1, 60.0)
    assert 2**11 <= (then.run.p50_ms or 0) <= 2**12
    [much_later] = rows.rows(now=NOW + 3_600_000)
    assert (much_later.run.count, much_later.spread_for) == (21, None)
    client.flushall()
    work(client, "z", NOW + 3_640_000, "mail|0|1|1")
    [anew] = rows.rows(now=NOW + 3_640_000)
    assert anew.run.count == 1


def test_minutes_that_are_over_are_not_asked_for_again(client: Client) -> None:
    """They do not change; so a look costs the same however often it is done."""
    for name in ("q", "r"):
        work(client, "ab", NOW) if name == "q" else store(client, queue=name)
    rows = QueueBrowser(client, "t")
    first = rows.rows(now=NOW)

    client.config_resetstat()
    again = rows.rows(now=NOW)
    calls = {name: said["calls"] for name, said in client.info("commandstats").items()}
    assert again == first
    assert calls["cmdstat_hgetall"] == 2 * (1 + 1 + 2), calls  # a minute, the tally, the flow
    assert sum(calls.values()) < 60, calls
    [after, _] = rows.rows(now=NOW + 120_000)
    assert after.completed[-3:] == [2, 0, 0]


def test_one_queue_costs_the_same_however_many_there_are(client: Client) -> None:
    """And is the row that all together have."""
    work(client, "ab", NOW)

    def cost() -> int:
        browser = Browser(client, "t", now=NOW)
        client.config_resetstat()
        row = browser.queue("q")
        calls = sum(said["calls"] for said in client.info("commandstats").values())
        assert row == next(each for each in browser.queues() if each.name == "q")
        return calls

    alone = cost()
    for n in range(20):
        store(client, queue=f"r{n}")
    assert cost() == alone
    assert Browser(client, "t", now=NOW).queue("none").counts["waiting"] == 0


def test_what_was_read_lately_is_given_to_whoever_is_content_with_it(client: Client) -> None:
    browser = Browser(client, "t")
    store(client, queue="a")
    assert [row.name for row in browser.queues(within=60)] == ["a"]
    store(client, queue="b")
    assert [row.name for row in browser.queues(within=60)] == ["a"]
    assert [row.name for row in browser.queues()] == ["a", "b"]
    assert [row.name for row in browser.queues(within=60)] == ["a", "b"]


def test_several_threads_may_look_at_once(client: Client) -> None:
    """What is remembered is theirs together."""
    for n in range(5):
        store(client, queue=f"q{n}")
    work(client, "abc", NOW)
    rows, found = QueueBrowser(client, "t"), list[object]()

    def look() -> None:
        found.extend(rows.rows(now=NOW + n * 60_000) for n in range(8))

    threads = [Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 32


def test_a_task_has_figures_of_its_own(client: Client) -> None:
    """Since its first job; one that is paused is named though it never ran."""
    work(client, "abcd", NOW, bad=1)
    store(client).pause("mail")
    store(client).pause("never")
    mail, never = Browser(client, "t", now=NOW).tasks("q")

    assert (mail.name, mail.paused) == ("mail", True)
    assert mail.outcomes == {"completed": 3, "dead": 1}
    assert (mail.run.count, mail.run.p50_ms, mail.mean_run_ms) == (4, 22.627, 0.0)
    assert (never.name, never.paused, never.outcomes, never.mean_run_ms) == (
        "never", True, {}, None,
    )  # fmt: skip
    with pytest.raises(OptionError, match="queue: 'a b'"):
        Browser(client, "t").tasks("a b")


def test_what_a_stranger_put_in_the_place_of_keys_counts_for_nothing(client: Client) -> None:
    """And nobody's page breaks over it."""
    store(client)
    for key in ("waiting", "tally", "leases", "meta", f"minute:{NOW // 60_000}", "off", "rate"):
        client.set("t:{q}:" + key, "x")
    client.hset(f"t:{{q}}:minute:{NOW // 60_000 - 1}", mapping={"completed": "many", b"\xff": "1"})
    [row] = Browser(client, "t", now=NOW).queues()

    assert (row.counts["waiting"], row.throughput, row.error_rate) == (0, 0.0, None)
    assert Browser(client, "t", now=NOW).tasks("q") == []


def test_schedules_are_listed_without_what_they_carry(client: Client) -> None:
    """One by itself has it."""
    register_queues(client, "t", ["q"])
    place = ScheduleStore(client, "t", "q", now=NOW)
    place.put(Schedule(name="daily", task="mail", args='{"a":1}', every_ms=60_000))
    look = Browser(client, "t", now=NOW)

    [row] = look.schedules()
    assert (row.name, row.args, row.next_at) == ("daily", None, NOW + 60_000)
    whole = look.schedule("q", "daily")
    assert whole is not None
    assert whole.args == {"a": 1}
    assert look.schedule("q", "no") is None
    assert look.schedules("other") == []


def test_alerts_hosts_and_the_server_are_read(client: Client) -> None:
    """As they were said last."""
    alerts = AlertStore(client, "t", now=NOW)
    state = RuleState(looked_ms=NOW)
    assert alerts.move([Move("late", b"", state)]) == ["moved"]
    until = alerts.mute("late", 60_000)
    say(client, "t", "h", _daemon(), wall_ms=NOW)
    look = Browser(client, "t", now=NOW)

    [rule] = look.alerts()
    assert (rule.rule, rule.state, rule.muted_until) == ("late", state, until)
    [host] = look.hosts()
    assert (host.key, host.daemon) == ("h", _daemon())
    assert look.server().used_memory > 0


def _daemon() -> Daemon:
    return Daemon(
        running=True, stopping=False, pid=1, started_at=0.0, up_for=1.0, generation=1,
        last_error=None, helpers={}, workers=[],
    )  # fmt: skip
