"""Each script on a real server: its edges, its refusals, and the promise of its REPLAY line."""

from __future__ import annotations

import pytest
from support.policies import NOTHING

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client, connect, run
from jobd.broker.new_job import NewJob
from jobd.broker.scripts import SCRIPTS, parse
from jobd.broker.store import Store, read_epoch
from jobd.broker.views import Views
from jobd.core.errors import BrokerError, Fenced, StoreFull
from jobd.core.ran import Ran
from jobd.core.states import EDGES

LEASE = 30_000
NOW = 1_800_000_000_000
FIGURES = "noop|0|0|0"
FAST = ["noop", 10]


def store(client: Client, now: int | None = NOW, queue: str = "q") -> Store:
    return Store(client, "t", queue, now=now)


def a_job(job_id: str = "a", **changes: object) -> NewJob:
    return NewJob(job_id, "noop", b"{}")._replace(**changes)


def dump(client: Client) -> dict[bytes, object]:
    """Everything in Redis, to compare before and after."""
    return {key: client.dump(key) for key in sorted(client.keys("*"))}


def claimed(client: Client, *ids: str, worker: str = "w.1", now: int = NOW) -> int:
    """Add jobs and claim them together; give the claim's number."""
    s = store(client, now)
    s.add([a_job(i) for i in ids])
    s.join(worker, LEASE)
    claim = s.claim(worker, LEASE, budget_us=50_000, costs=FAST)
    assert [job.id.decode() for job in claim.jobs] == list(ids)
    return claim.number


def test_every_verb_of_the_states_is_a_script() -> None:
    """The edges, the files and the methods are the same list."""
    no_state = {
        "join",
        "renew",
        "await",
        "wake",
        "epoch",
        "heed",
        "jot",
        "step",
        "pause",
        "remember",
    }
    no_state |= {"host_say", "host_ask", "host_take", "host_answer", "owner", "own_series", "page"}
    no_state |= {
        f"alert_{verb}" for verb in ("add", "take", "again", "end", "load", "move", "mute")
    }
    no_state |= {f"schedule_{verb}" for verb in ("put", "look", "pause", "resume", "remove")}
    no_state |= {"operation_say", "operation_stop"}
    no_state |= {"login_try", "login_done", "session_open", "session_look", "session_close"}
    no_state |= {"web_secret"}

    assert set(SCRIPTS) - no_state == set(EDGES)


def test_a_header_that_lacks_a_line_is_refused() -> None:
    """A script without its contract does not load."""
    with pytest.raises(ValueError, match="REPLAY"):
        parse("x", "-- x: a\n-- KEYS a\n-- ARGV now\n-- REPLY ok\n-- WHY because\n", "")


def test_a_call_with_a_wrong_number_of_arguments_is_refused_before_redis() -> None:
    """Arity is checked on this side."""
    with pytest.raises(TypeError, match="ARGV now incarnation lease_ms"):
        SCRIPTS["join"].command(["a", "b"], "")


def test_added_jobs_run_in_order_of_priority_then_of_arrival(client: Client) -> None:
    """FIFO inside a priority; lower numbers first."""
    s = store(client)
    s.add([a_job("c"), a_job("low", priority=10), a_job("d"), a_job("high", priority=-8192)])
    s.join("w.1", LEASE)

    claim = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)

    assert [job.id for job in claim.jobs] == [b"high", b"c", b"d", b"low"]


def test_adding_the_same_id_again_changes_nothing(client: Client) -> None:
    """REPLAY of add."""
    s = store(client)
    assert s.add([a_job()]) == [True]
    before = dump(client)

    assert s.add([a_job(args=b'{"other":1}')]) == [False]
    assert before == dump(client)


def test_an_id_twice_in_one_call_is_one_job(client: Client) -> None:
    """Also inside a batch an id is an identity."""
    assert store(client).add([a_job(), a_job()]) == [True, False]


def test_a_fresh_id_that_is_recorded_is_a_duplicate_all_the_same(client: Client) -> None:
    """`fresh` saves a lookup, not the truth: nobody gets a second place in line."""
    s = store(client)
    jobs = [a_job("a"), a_job("b", priority=1, options=b'{"attempts":2}'), a_job("c", due="+9")]
    assert s.add(jobs, fresh=True) == [True, True, True]
    before = {key: value for key, value in dump(client).items() if b":job:" not in key}

    assert s.add(jobs, fresh=True) == [False, False, False]
    assert before == {key: value for key, value in dump(client).items() if b":job:" not in key}


@pytest.mark.parametrize(
    ("key", "fresh"),
    [(key, fresh) for key in ("waiting", "delayed", "meta", "wake") for fresh in (True, False)]
    + [(f"recent:{NOW // 30_000}", False)],  # fresh ids are not looked up there
)
def test_adding_beside_a_key_of_a_wrong_type_changes_nothing(
    client: Client, key: str, fresh: bool
) -> None:
    """Refused before the first write, and the key is named (I-03)."""
    client.set("t:{q}:" + key, "x")
    before = dump(client)

    with pytest.raises(BrokerError, match=f"{key} is a string, expected"):
        store(client).add([a_job("a"), a_job("b", due="+9")], fresh=fresh)
    assert before == dump(client)


def test_a_finished_and_trimmed_id_is_remembered_for_a_minute(client: Client) -> None:
    """A late repeat of an add must not run the job twice, whatever retention says."""
    number = claimed(client, "a")
    store(client).settle("w.1", LEASE, keep=0, completed=[Completed(b"a", number, FIGURES, b"")])
    assert not client.exists("t:{q}:job:a")

    assert store(client, NOW + 60_000).add([a_job()]) == [False]
    assert store(client, NOW + 90_000).add([a_job()]) == [True]


def test_a_delayed_job_is_not_claimed_before_its_time(client: Client) -> None:
    """Redis' clock decides, to the millisecond."""
    s = store(client)
    s.add([a_job(due="+1000")])
    s.join("w.1", LEASE)

    early = store(client, NOW + 999).claim("w.1", LEASE)
    assert early.jobs == []
    assert early.again_at == NOW + 1000
    assert [j.id for j in store(client, NOW + 1000).claim("w.1", LEASE).jobs] == [b"a"]


def test_an_unknown_or_slow_task_is_claimed_one_per_slot(client: Client) -> None:
    """Nothing waits behind a job that may take long."""
    s = store(client)
    s.add([a_job("fast"), a_job("slow", task="slow"), a_job("fast2")])
    s.join("w.1", LEASE)

    first = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)
    second = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)

    assert [j.id for j in first.jobs] == [b"fast"]
    assert [j.id for j in second.jobs] == [b"slow"]


def test_a_batch_stops_at_its_budget_and_at_its_bytes(client: Client) -> None:
    """50 ms of work, 1 MiB of arguments."""
    s = store(client)
    s.add([a_job(f"b{i}", args=b'"' + b"x" * 300_000 + b'"') for i in range(5)])
    s.join("w.1", LEASE)
    assert len(s.claim("w.1", LEASE, budget_us=50_000, costs=FAST).jobs) == 3

    s = store(client, queue="r")
    s.add([a_job(f"c{i}") for i in range(50)])
    s.join("w.1", LEASE)
    assert len(s.claim("w.1", LEASE, budget_us=5000, costs=["noop", 1000]).jobs) == 5


def test_claim_numbers_grow_also_when_the_counter_is_lost(client: Client) -> None:
    """The fencing number never goes back (I-06)."""
    first = claimed(client, "a")
    client.hdel("t:{q}:meta", "claim")

    assert claimed(client, "b", now=NOW + 1) > first


def test_a_worker_without_a_lease_is_fenced(client: Client) -> None:
    """Claim and settle need an open lease."""
    s = store(client)
    s.add([a_job()])
    with pytest.raises(Fenced):
        s.claim("w.1", LEASE)
    with pytest.raises(Fenced):
        s.settle("w.1", LEASE, completed=[Completed(b"a", 1, FIGURES, b"")])


def test_a_completed_job_may_say_where_and_how_long_it_ran(client: Client) -> None:
    """With a result or without; a stale worker's line is not written."""
    number = claimed(client, "a", "b", "c", "d")
    s = store(client)
    s.hand_back("w.1", [(b"d", number)])
    line = f"1500 {number} q.1 web-1".encode()
    done = [
        Completed(b"a", number, FIGURES, b"7", line),
        Completed(b"b", number, FIGURES, b"", line),
        Completed(b"c", number, FIGURES, b"9"),
        Completed(b"d", number, FIGURES, b"late", line),
    ]
    assert s.settle("w.1", LEASE, completed=done) == [b"d"]
    views = Views(client, "t")
    told = {job: views.info("q", job) for job in "abc"}
    ran = Ran(1500, number, "q.1", "web-1")
    assert {job: (it.result, it.ran) for job, it in told.items() if it} == {
        "a": (7, ran), "b": (None, ran), "c": (9, None),
    }  # fmt: skip
    assert not client.hexists("t:{q}:job:b", "result")
    assert not client.hexists("t:{q}:job:d", "ran")


def test_a_stale_claim_changes_nothing(client: Client) -> None:
    """A worker that lost its job writes nothing: no state, no result, no counter (I-07)."""
    old = claimed(client, "a")
    s = store(client)
    s.hand_back("w.1", [(b"a", old)])
    new = s.claim("w.1", LEASE).number
    before = dump(client)

    assert new > old
    late = [Completed(b"a", old, FIGURES, b'"late"')]
    assert s.settle("w.1", LEASE, completed=late, sums=["wait_ms|noop", 1]) == [b"a"]
    assert s.hand_back("w.1", [(b"a", old)]) == []
    assert before == dump(client)


@pytest.mark.parametrize("verb", ["done", "retry", "dead"])
def test_a_stale_ending_changes_nothing(client: Client, verb: str) -> None:
    """The same for every other end."""
    number = claimed(client, "a")
    before = dump(client)

    ending = Ending(verb, b"a", number - 1, FIGURES, 0, "failed", {"error": "late"})
    assert store(client).settle("w.1", LEASE, endings=[ending]) == [b"a"]
    assert before == dump(client)


def test_settling_twice_counts_once(client: Client) -> None:
    """REPLAY of settle: the reply was lost, the worker asks again (I-08)."""
    number = claimed(client, "a", "b")
    done = [Completed(i, number, FIGURES, b'"r"') for i in (b"a", b"b")]
    sums = ["wait_ms|noop", 7]
    assert store(client).settle("w.1", LEASE, completed=done, sums=sums) == []
    before = dump(client)

    assert store(client).settle("w.1", LEASE, completed=done, sums=sums) == [b"a", b"b"]
    assert before == dump(client)
    assert client.hget("t:{q}:tally", "completed|noop") == b"2"
    assert client.hget("t:{q}:tally", "wait_ms|noop") == b"7"


def test_an_expired_lease_that_nobody_reaped_still_owns(client: Client) -> None:
    """Late is not fenced (I-09)."""
    number = claimed(client, "a")
    late = store(client, NOW + 10 * LEASE)

    assert late.settle("w.1", LEASE, completed=[Completed(b"a", number, FIGURES, b"")]) == []


def test_handed_back_jobs_stand_where_they_stood(client: Client) -> None:
    """The front is free of charge, and a repeat does nothing."""
    number = claimed(client, "a", "b")
    s = store(client)
    s.add([a_job("c")])

    assert s.hand_back("w.1", [(b"a", number), (b"b", number)]) == [b"a", b"b"]
    before = dump(client)
    assert s.hand_back("w.1", [(b"a", number), (b"b", number)]) == []
    assert before == dump(client)
    assert Views(client, "t").jobs("q", "waiting") == ["a", "b", "c"]


def test_release_charges_what_ran_and_nothing_else(client: Client) -> None:
    """A crash is counted for the running job only; the lease is gone at the end."""
    claimed(client, "a", "b")
    s = store(client)
    s.release("w.1", [Blame("a", "crashes")])
    before = dump(client)
    s.release("w.1", [Blame("a", "crashes")])

    assert before == dump(client)
    views = Views(client, "t")
    assert (views.info("q", "a").crashes, views.info("q", "b").crashes) == (1, 0)
    assert views.jobs("q", "waiting") == ["a", "b"]
    assert s.open_leases() == {}


def test_a_release_that_died_between_two_bites_heals(client: Client) -> None:
    """The lease stays, closed, until nothing is held."""
    claimed(client, *(f"j{i:03}" for i in range(20)))
    s = store(client)
    client.execute_command(*_loaded(client, s.commands.release("w.1", limit=7)))
    assert s.open_leases() == {"w.1": "0"}
    with pytest.raises(Fenced):
        s.join("w.1", LEASE)

    s.release("w.1")
    assert Views(client, "t").counts("q")["waiting"] == 20
    assert s.open_leases() == {}


def test_a_lease_is_reaped_only_where_it_was_seen_and_past(client: Client) -> None:
    """An owner that came back has moved its lease."""
    claimed(client, "a")
    seen = store(client).open_leases()["w.1"]
    assert not store(client, NOW + LEASE - 1).reap("w.1", seen)
    late = store(client, NOW + LEASE + 1)
    assert late.renew(LEASE, ["w.1"]) == []
    assert not late.reap("w.1", seen)

    later = store(client, NOW + 3 * LEASE)
    assert later.reap("w.1", later.open_leases()["w.1"])
    assert Views(client, "t").info("q", "a").lost == 1
    assert later.renew(LEASE, ["w.1"]) == ["w.1"]


def test_a_job_lost_before_is_claimed_alone_and_then_accused(client: Client) -> None:
    """A loss accuses nobody, a second one of a job that was alone does."""
    claimed(client, "a", "b")
    at = NOW
    for worker in ("w.2", "w.3"):
        at += 2 * LEASE
        s = store(client, at)
        [(name, seen)] = s.open_leases().items()
        assert s.reap(name, seen)
        s.join(worker, LEASE)
        claim = s.claim(worker, LEASE, budget_us=50_000, costs=FAST)
        assert [j.id for j in claim.jobs] == [b"a"]
    s = store(client, at + 2 * LEASE)
    assert s.reap("w.3", s.open_leases()["w.3"])

    info = Views(client, "t").info("q", "a")
    assert (info.lost, info.crashes) == (3, 2)


def test_the_last_bite_of_many_accuses_nobody_of_having_been_alone(client: Client) -> None:
    """Who holds more than a bite, as a worker with many lanes may, was in company."""
    claimed(client, *(f"j{i}" for i in range(5)))
    for i in range(5):
        client.hset(f"t:{{q}}:job:j{i}", "lost", "1")
    s = store(client, NOW + 2 * LEASE)
    seen: str | bytes = s.open_leases()["w.1"]
    for reply in (b"more", b"released"):
        assert run(client, s.commands.reap("w.1", seen, limit=4)) == [reply]
        seen = "0"

    infos = [Views(client, "t").info("q", f"j{i}") for i in range(5)]
    assert {(info.lost, info.crashes) for info in infos if info} == {(2, 0)}


def test_what_a_lost_reply_claimed_comes_back_by_reconcile(client: Client) -> None:
    """Two looks: the second hands back what the worker still does not know."""
    number = claimed(client, "a", "b")
    s = store(client)
    assert {b"a": number, b"b": number} == s.reconcile("w.1")

    assert {b"a": number} == s.reconcile("w.1", [(b"b", number)])
    assert Views(client, "t").jobs("q", "waiting") == ["b"]


@pytest.mark.parametrize("harm", ["missing", "wrong type", "no task"])
def test_a_corrupt_record_becomes_a_dead_job(client: Client, harm: str) -> None:
    """Never dropped, and its neighbours run."""
    s = store(client)
    s.add([a_job("bad"), a_job("good")])
    client.delete("t:{q}:job:bad") if harm != "no task" else client.hdel("t:{q}:job:bad", "task")
    if harm == "wrong type":
        client.set("t:{q}:job:bad", "x")
    s.join("w.1", LEASE)

    claim = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)
    assert [j.id for j in claim.jobs] == [b"good"] or claim.jobs == []
    info = Views(client, "t").info("q", "bad")
    assert (info.state, info.cause) == ("dead", "corrupt")


def test_a_key_of_a_wrong_type_stops_a_script_before_its_first_write(client: Client) -> None:
    """Redis does not roll back (I-03)."""
    number = claimed(client, "a")
    client.set("t:{q}:completed", "x")
    before = dump(client)

    with pytest.raises(BrokerError, match="expected a zset"):
        store(client).settle("w.1", LEASE, completed=[Completed(b"a", number, FIGURES, b"")])
    assert before == dump(client)


def test_at_maxmemory_adding_is_refused_and_all_else_goes_on(client: Client) -> None:
    """The queue can always be worked off (fact 7)."""
    number = claimed(client, "a", "b", "c")
    client.config_set("maxmemory", "1")
    s = store(client)

    with pytest.raises(StoreFull, match="nothing was added"):
        s.add([a_job("d")])
    assert not client.exists("t:{q}:job:d")
    assert s.renew(LEASE, ["w.1"]) == []
    ends = [Ending("retry", b"b", number, FIGURES, 5, "failed", {"failed": 1})]
    done = [Completed(b"a", number, FIGURES, b'"x"')]
    assert s.settle("w.1", LEASE, completed=done, endings=ends) == []
    assert s.hand_back("w.1", [(b"c", number)]) == [b"c"]
    s.join("w.2", LEASE)
    assert [j.id for j in s.claim("w.2", LEASE).jobs] == [b"c"]
    s.release("w.2")
    assert s.trim(NOTHING).removed == 1


def test_nobody_is_told_of_what_nobody_waits_for(client: Client) -> None:
    """A notice costs only those who asked for it."""
    s = store(client, None)
    listener = client.pubsub(ignore_subscribe_messages=True)
    listener.subscribe("t:{q}:awaited:a")
    s.add([a_job("a"), a_job("b")])
    assert s.await_end("a", 60_000).state == "waits"
    s.join("w.1", LEASE)
    claim = s.claim("w.1", LEASE, budget_us=50_000, costs=FAST)
    s.settle(
        "w.1", LEASE, completed=[Completed(j.id, claim.number, FIGURES, b"") for j in claim.jobs]
    )

    messages = [listener.get_message(timeout=30) for _ in range(2)]
    assert b"t:{q}:awaited:a" in [m["channel"] for m in messages if m]
    assert not client.exists("t:{q}:awaited")
    listener.close()


def test_the_epoch_is_made_once(client: Client) -> None:
    """A flushed store has another."""
    assert "one" == read_epoch(client, "t", "one") == read_epoch(client, "t", "two")
    client.flushall()
    assert read_epoch(client, "t", "two") == "two"


def test_redis_py_never_repeats_a_command_by_itself(client: Client, redis_url: str) -> None:
    """A silently repeated claim would take twice."""
    made = connect(redis_url)
    assert made.connection_pool.make_connection().retry._retries == 0
    made.close()


def _loaded(client: Client, command: list[str | bytes | int]) -> list[str | bytes | int]:
    client.script_load(SCRIPTS["release"].source)
    return command
