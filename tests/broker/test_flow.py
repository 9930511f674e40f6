"""What holds a queue back, on a real server: pauses, paused tasks, waits, and both limits."""

from __future__ import annotations

import pytest

from jobd.broker.commands import Blame, Claim, Completed, Ending
from jobd.broker.connection import Client, run
from jobd.broker.flow import Flow
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.limits import Limits

LEASE = 30_000
NOW = 1_800_000_000_000
FIGURES = "noop|0|0|0"
WAKE = "t:{q}:wake"


def store(client: Client, later: int = 0) -> Store:
    return Store(client, "t", "q", now=NOW + later)


def add(client: Client, *ids: str, task: str = "noop", due: str = "", later: int = 0) -> None:
    store(client, later).add([NewJob(i, task, b"{}", due=due) for i in ids])


def join(client: Client, *workers: str, later: int = 0, **limits: int) -> None:
    for worker in workers or ("w.1",):
        store(client, later).join(worker, LEASE, limits=Limits(**limits))


def claim(client: Client, later: int = 0, worker: str = "w.1", **how: int) -> Claim:
    return store(client, later).claim(worker, LEASE, **how)


def take(client: Client, later: int = 0, worker: str = "w.1", **how: int) -> list[str]:
    return [job.id.decode() for job in claim(client, later, worker, **how).jobs]


def line(client: Client, count: int = 10) -> list[str]:
    ids = [f"j{i}" for i in range(count)]
    add(client, *ids)
    return ids


def flow(client: Client) -> Flow:
    return Views(client, "t").flow("q")


# --- pause and resume ---


def test_a_paused_queue_gives_nothing_until_it_is_resumed(client: Client) -> None:
    """Also not what comes due; what stands in line stays where it stands."""
    join(client)
    add(client, "later", due="+5")
    ids = line(client, 2)
    assert store(client).pause(why="deploying") == "paused"
    assert store(client, 9).pause(why="still deploying") == "already"
    assert (flow(client).paused_at, flow(client).paused_why) == (NOW, "still deploying")

    found = claim(client, 10)
    assert (found.jobs, found.word, found.again_at) == ([], "paused", None)
    client.delete(WAKE)
    assert store(client, 20).resume() == "resumed"
    assert client.llen(WAKE) == 1
    assert store(client, 20).resume() == "running"
    assert not flow(client).is_paused
    assert take(client, 20, slots=9) == [*ids, "later"]


def test_what_runs_when_its_queue_is_paused_ends_as_always(client: Client) -> None:
    """A pause is about beginning; and the lease is renewed all the same."""
    join(client)
    line(client, 1)
    number = claim(client).number
    store(client).pause()
    assert claim(client, LEASE - 1).word == "paused"
    done = [Completed(b"j0", number, FIGURES, b"")]
    assert store(client, LEASE + 1).settle("w.1", LEASE, completed=done) == []


# --- one task ---


def test_jobs_of_a_paused_task_are_set_aside_and_come_back_to_their_places(client: Client) -> None:
    """Others pass them; they are delayed without being due; a resumed task stands as before."""
    join(client)
    add(client, "a1", "a2", task="mail")
    add(client, "b1")
    add(client, "a3", task="mail")
    assert store(client).pause("mail") == "paused"
    assert store(client).pause("mail") == "already"

    assert take(client, slots=9) == ["b1"]
    assert flow(client).paused_tasks == ("mail",)
    views = Views(client, "t")
    info = views.info("q", "a2")
    assert info is not None
    assert (info.state, info.due_at, info.task_paused) == ("delayed", None, True)
    assert (views.counts("q")["delayed"], claim(client).again_at) == (3, None)
    assert store(client).promote().next_due is None
    add(client, "b2")
    assert store(client).resume("mail") == "resumed"
    assert store(client).resume("mail") == "running"
    assert flow(client) == Flow()
    assert not client.hexists("t:{q}:meta", "off")
    assert take(client, slots=9) == ["a1", "a2", "a3", "b2"]


def test_many_jobs_of_a_paused_task_are_passed_by_claims_of_a_bounded_size(client: Client) -> None:
    """Each call moves on, tells the next worker, and brings what stands behind in the end."""
    join(client)
    count = 3000
    store(client).add([NewJob(f"a{i:04}", "mail", b"{}") for i in range(count)])
    add(client, "last")
    store(client).pause("mail")

    calls = 1
    while not (got := take(client)):
        assert client.llen(WAKE) > 0
        calls += 1
    assert (got, calls) == (["last"], 3)
    words = []
    while not words or words[-1] == b"more":
        words += [run(client, store(client).commands.resume("mail"))[0]]
    assert words == [b"more"] * 11 + [b"resumed"]
    assert take(client, slots=count) == [f"a{i:04}" for i in range(256)]


def test_whoever_resumes_may_die_in_between(client: Client) -> None:
    """Claims go on with it; and a task that is paused again keeps its score."""
    join(client)
    store(client).add([NewJob(f"a{i:03}", "mail", b"{}") for i in range(900)])
    store(client).pause("mail")
    assert take(client) == []
    [word] = run(client, store(client).commands.resume("mail"))
    assert (word, flow(client).resuming) == (b"more", ("mail",))
    assert store(client).pause("mail") == "paused"
    assert take(client) == []
    assert len(client.zrangebyscore("t:{q}:delayed", 4e15 + 1, 4e15 + 1)) == 900
    [word] = run(client, store(client).commands.resume("mail"))
    for _ in range(3):
        assert len(take(client, slots=10)) == 10
    assert flow(client) == Flow()
    assert Views(client, "t").counts("q")["delayed"] == 0


def test_a_delayed_job_of_a_paused_task_is_set_aside_when_it_is_due(client: Client) -> None:
    """And moving it by hand does not let it run."""
    join(client)
    add(client, "a", task="mail", due="+5")
    store(client).pause("mail")
    assert take(client, 4) == []
    assert client.zscore("t:{q}:delayed", "a") == NOW + 5
    assert take(client, 5) == []
    assert client.zscore("t:{q}:delayed", "a") == 4e15 + 1
    assert store(client, 6).reschedule(["a"], "") == ["waiting"]
    assert take(client, 6) == []
    store(client, 7).resume("mail")
    assert take(client, 7) == ["a"]


def test_more_than_a_hundred_tasks_are_not_paused_one_by_one(client: Client) -> None:
    """Each claim reads them all."""
    assert {store(client).pause(f"t{i}") for i in range(100)} == {"paused"}
    assert store(client).pause("t100") == "too_many"
    assert store(client).pause("t5") == "already"


# --- a wait that a task asks for ---


def throttled(client: Client, job: str, number: int, ms: int, later: int = 0) -> list[bytes]:
    end = Ending("throttle", job.encode(), number, FIGURES, ms, "throttled", {"throttled": 1})
    return store(client, later).settle("w.1", LEASE, endings=[end])


def test_a_throttled_queue_waits_and_the_job_stands_where_it_stood(client: Client) -> None:
    """The longer wait counts; a stale run changes nothing; resume ends it."""
    join(client)
    ids = line(client, 4)
    first, second = claim(client).number, claim(client).number
    assert throttled(client, "j1", second, 900) == []
    assert throttled(client, "j0", first, 500) == []
    assert throttled(client, "j0", first, 10_000) == [b"j0"]
    assert (client.hget("t:{q}:meta", "not_before"), client.hget("t:{q}:meta", "throttled_by")) == (
        str(NOW + 900).encode(),
        b"j1",
    )
    found = claim(client, 899)
    assert (found.jobs, found.word, found.again_at) == ([], "throttled", NOW + 900)
    assert take(client, 900, slots=9) == ids
    assert not client.hexists("t:{q}:meta", "not_before")
    info = Views(client, "t").info("q", "j0")
    assert info is not None
    assert (info.throttled, info.failed) == (1, 0)


def test_resume_ends_a_wait_too(client: Client) -> None:
    """Whoever operates it knows better."""
    join(client)
    line(client, 1)
    assert throttled(client, "j0", claim(client).number, 60_000) == []
    assert store(client).resume() == "resumed"
    assert take(client) == ["j0"]


# --- the rate limit ---


def test_no_window_holds_more_than_the_limit_and_a_place_is_free_when_one_has_left(
    client: Client,
) -> None:
    """Wherever the window begins; `again_at` is that instant, and within_ms is told."""
    join(client, rate_max=3, rate_ms=1000)
    line(client)
    assert [take(client, ms) for ms in (0, 400, 800)] == [["j0"], ["j1"], ["j2"]]
    found = claim(client, 900)
    assert (found.word, found.again_at, found.within_ms) == ("limited", NOW + 1006, 5)
    assert take(client, 1005) == []
    assert take(client, 1006) == ["j3"]
    assert [take(client, ms) for ms in (1007, 1405, 1406, 1805, 1806)] == [
        [],
        [],
        ["j4"],
        [],
        ["j5"],
    ]


def test_who_asks_a_little_ahead_gets_a_job_and_the_instant_of_its_start(client: Client) -> None:
    """It is that instant which counts; what goes back then is free again at once."""
    join(client, rate_max=2, rate_ms=1000)
    line(client)
    assert [take(client, ms) for ms in (0, 30)] == [["j0"], ["j1"]]
    early = claim(client, 965, ahead_ms=40)
    assert (early.word, early.again_at) == ("limited", NOW + 1006 - 20)
    first, second = claim(client, 970, ahead_ms=40), claim(client, 996, ahead_ms=40)
    assert [(c.jobs[0].id, c.now + c.wait_ms - NOW) for c in (first, second)] == [
        (b"j2", 1006),
        (b"j3", 1036),
    ]
    assert first.number < second.number
    assert claim(client, 1040, ahead_ms=40, slots=0).jobs == []
    assert claim(client, 1040, ahead_ms=40).again_at == NOW + 2012 - 20
    store(client, 1040).hand_back("w.1", [(b"j3", second.number)])
    assert (take(client, 1041), take(client, 1042)) == (["j3"], [])
    assert take(client, 2011) == []
    assert take(client, 2012) == ["j4"]


def test_each_that_asks_is_told_of_another_place(client: Client) -> None:
    """So one comes for each place, and not all of them for the first."""
    join(client, rate_max=4, rate_ms=1000)
    line(client)
    for ms in (0, 10, 20, 30):
        assert take(client, ms)
    told = [claim(client, 50).again_at for _ in range(6)]
    assert [at - NOW for at in told if at] == [1006, 1016, 1026, 1036, 1006, 1016]


def test_a_batch_takes_what_is_free_and_what_the_rate_gives_in_ten_ms(client: Client) -> None:
    """Fast tasks are still claimed many at once where the rate is high; not for long, though."""
    join(client, rate_max=5000, rate_ms=1000)
    line(client, 200)
    fast = {"budget_us": 25_000, "costs": ["noop", 20]}
    slower = {"budget_us": 25_000, "costs": ["noop", 500]}
    assert len(store(client).claim("w.1", LEASE, **fast).jobs) == 50
    assert len(store(client).claim("w.1", LEASE, **slower).jobs) == 5
    join(client, rate_max=200, rate_ms=5000)
    assert len(store(client).claim("w.1", LEASE, **fast).jobs) == 1
    assert len(store(client).claim("w.1", LEASE, slots=3, **fast).jobs) == 3
    join(client, rate_max=61, rate_ms=5000)
    assert len(store(client).claim("w.1", LEASE, slots=3, **fast).jobs) == 2
    assert store(client).claim("w.1", LEASE, slots=3, **fast).jobs == []


def test_a_high_rate_that_is_half_used_is_used_up_at_double_the_rate(client: Client) -> None:
    """A burst would come back with each window; what is asked for in an empty one starts at once."""
    join(client, rate_max=100, rate_ms=1000)
    line(client, 200)
    assert len(take(client, slots=50)) == 50
    found = [claim(client, ahead_ms=40) for _ in range(9)]
    assert [each.wait_ms for each in found[:8]] == [5, 10, 15, 20, 25, 30, 35, 40]
    assert (found[8].word, found[8].again_at) == ("limited", NOW + 45 - 20)
    assert [claim(client, 44).jobs, len(claim(client, 45).jobs)] == [[], 1]


def test_what_a_dead_worker_had_not_begun_takes_no_place(client: Client) -> None:
    """Where its page says what it had."""
    join(client, "w.1", "w.2", rate_max=3, rate_ms=1000)
    line(client)
    first, second = claim(client), claim(client, 1)
    store(client, 2).release("w.1", begun=first.number)
    assert take(client, 3, "w.2", slots=3) == ["j0", "j1"]
    assert second.number > first.number


def test_a_limited_worker_pushes_no_hints(client: Client) -> None:
    """Nobody could do anything with them."""
    join(client, rate_max=1, rate_ms=1000)
    line(client)
    client.delete(WAKE)
    assert take(client) == ["j0"]
    assert take(client, 5) == []
    assert client.llen(WAKE) == 0


def test_a_job_that_went_back_unstarted_takes_no_place(client: Client) -> None:
    """Handed back once, it is given back once; what a dead worker held still counts."""
    join(client, "w.1", "w.2", rate_max=2, rate_ms=1000)
    line(client)
    number = claim(client, 3).number
    assert take(client, 4, "w.2") == ["j1"]
    for _ in range(2):
        store(client, 5).hand_back("w.1", [(b"j0", number)])
    assert (take(client, 6), take(client, 7)) == (["j0"], [])
    store(client, 8).release("w.2", [Blame("j1", "crashes")])
    assert take(client, 9) == []


def test_the_store_may_set_its_clock_back(client: Client) -> None:
    """What is in the log counts from now on: a window is waited for, not an hour."""
    join(client, later=0, rate_max=1, rate_ms=1000)
    line(client)
    assert take(client) == ["j0"]
    assert take(client, -3_600_000) == []
    assert take(client, -3_600_000 + 1005) == []
    assert take(client, -3_600_000 + 1006) == ["j1"]


def test_whoever_joins_last_sets_the_limits_and_wakes_somebody(client: Client) -> None:
    """What was claimed before counts on, in the new window; the same again is no news."""
    join(client, rate_max=1, rate_ms=1000)
    line(client)
    assert (take(client), take(client, 1)) == (["j0"], [])
    client.delete(WAKE)
    join(client, later=2, rate_max=1, rate_ms=1000)
    assert client.llen(WAKE) == 0
    join(client, later=2, rate_max=2, rate_ms=60_000)
    assert client.llen(WAKE) > 0
    assert (take(client, 3), take(client, 4)) == (["j1"], [])
    seen = flow(client)
    assert (seen.rate_max, seen.rate_ms) == (2, 60_000)
    join(client, later=5)
    assert take(client, 6) == ["j2"]


def test_the_log_stays_small_whatever_the_limit(client: Client) -> None:
    """A thousandth of the window is one entry, and it counts from its end."""
    join(client, rate_max=5000, rate_ms=600_000)
    store(client).add([NewJob(f"j{i}", "noop", b"{}") for i in range(3000)])
    for ms in range(0, 6000, 10):
        assert len(take(client, ms, slots=4)) == 4
    assert client.hlen("t:{q}:rate") < 20


def test_a_strangers_log_fails_nothing(client: Client) -> None:
    """What cannot be read counts as nothing."""
    join(client, rate_max=2, rate_ms=1000)
    line(client)
    take(client)
    for name in client.hkeys("t:{q}:rate"):
        client.hset("t:{q}:rate", name, "x")
    assert take(client, 1) == ["j1"]
    client.hset("t:{q}:meta", "rate_max", "x")
    client.hset("t:{q}:meta", "paused_why", b"\xff")
    assert take(client, 2) == ["j2"]
    assert flow(client).rate_max == 0


def test_a_strangers_log_without_an_end_does_not_hold_the_store(client: Client) -> None:
    """A first bucket of long ago would make a script that walks the row from there run for hours."""
    for first in ("1", "-9999999999999999"):
        client.flushdb()
        join(client, rate_max=2, rate_ms=1000)
        line(client)
        assert len(take(client, slots=2)) == 2
        client.hset("t:{q}:rate", "first", first)
        assert take(client, 1) == []  # how many they were is still known
        assert len(take(client, 1100, slots=2)) == 2


# --- so many at once ---


def test_no_more_are_active_than_the_cap_over_all_workers(client: Client) -> None:
    """Also not of fast tasks; whoever frees a place takes it, and others are told of the rest."""
    join(client, "w.1", "w.2", "w.3", max_active=2)
    line(client)
    number = claim(client).number
    assert take(client, worker="w.2", slots=5) == ["j1"]
    for worker in ("w.1", "w.2", "w.3"):
        found = store(client).claim(worker, LEASE, slots=5, budget_us=50_000, costs=["noop", 1])
        assert (found.jobs, found.word) == ([], "capped")
    store(client).settle("w.1", LEASE, completed=[Completed(b"j0", number, FIGURES, b"")])
    client.delete(WAKE)
    assert (take(client), take(client, worker="w.3")) == (["j2"], [])
    assert client.llen(WAKE) == 0
    store(client).release("w.2")
    assert client.llen(WAKE) == 1
    assert take(client, worker="w.3", slots=5) == ["j1"]


@pytest.mark.parametrize("way", ["hand_back", "release", "reap", "reconcile"])
def test_every_way_back_frees_a_place_and_tells_of_it(client: Client, way: str) -> None:
    """Nothing is counted but what is held, so nothing can leak."""
    join(client, "w.1", max_active=1)
    line(client)
    number = claim(client).number
    join(client, "w.2", later=5, max_active=1)
    assert claim(client, 5, "w.2").word == "capped"
    client.delete(WAKE)
    held = [(b"j0", number)]
    match way:
        case "hand_back":
            store(client, 6).hand_back("w.1", held)
        case "reconcile":
            store(client, 6).reconcile("w.1", held)
        case "release":
            store(client, 6).release("w.1", [Blame("j0", "crashes")])
        case "reap":
            assert store(client, LEASE).reap("w.1", str(NOW + LEASE))
    assert client.llen(WAKE) == 1
    assert take(client, LEASE, "w.2") == ["j0"]


def test_both_limits_hold_together_and_a_full_store_obeys_them_too(client: Client) -> None:
    """At maxmemory claims go on, and count."""
    join(client, "w.1", "w.2", rate_max=3, rate_ms=1000, max_active=2)
    line(client)
    client.config_set("maxmemory", "1")
    assert take(client, worker="w.1") == ["j0"]
    assert take(client, worker="w.2") == ["j1"]
    assert claim(client, worker="w.2").word == "capped"
    assert store(client).pause() == "paused"
    assert store(client).resume() == "resumed"
    store(client).release("w.1")
    assert take(client, 1, worker="w.2") == ["j0"]
    store(client).release("w.2")
    join(client, "w.3", rate_max=3, rate_ms=1000, max_active=2)
    assert claim(client, 2, worker="w.3").word == "limited"


def test_who_gets_less_than_he_has_hands_for_is_told_why(client: Client) -> None:
    """And when to come again: others may start before he has ended anything."""
    join(client, rate_max=3, rate_ms=1000, max_active=2)
    line(client)
    capped = claim(client, slots=4)
    assert (len(capped.jobs), capped.word, capped.again_at) == (2, "capped", None)
    join(client, rate_max=4, rate_ms=1000)
    limited = claim(client, 9, slots=4)
    assert (len(limited.jobs), limited.word, limited.again_at) == (2, "limited", NOW + 1006)
    assert claim(client, 1006, slots=1).word == ""
