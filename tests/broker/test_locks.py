"""What becomes of a lock at each step of its job: the table of the README, on a real server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.policies import NOTHING

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.store import Store
from jobd.core.errors import BrokerError, Fenced, StoreFull
from jobd.core.options import resolve

LEASE = 30_000
NOW = 1_800_000_000_000
TTL = 600_000
FIGURES = "t|0|0|0"
KEY = "t:{q}:unique:aa"
LOCKS = {"finished": "finished aa", "started": "started aa", "ttl": f"ttl aa {TTL}"}
ALL = ("finished", "started", "ttl")


def store(client: Client, now: int = NOW) -> Store:
    return Store(client, "t", "q", now=now)


def a_job(job_id: str, lock: str = "", nonce: str = "", **changes: object) -> NewJob:
    job = NewJob(job_id, "t", b"{}")._replace(**changes)
    return JobOnTerms.of(job, Terms(nonce, lock)) if lock or nonce else job


def add(client: Client, *jobs: NewJob, now: int = NOW) -> list[str]:
    return [word.decode() for word in store(client, now).add_once(jobs)]


def dump(client: Client) -> dict[bytes, object]:
    return {key: client.dump(key) for key in sorted(client.keys("*"))}


class Run:
    """A worker that has claimed the holder `a`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.store = store(client)
        self.store.join("w.1", LEASE)
        [job] = self.store.claim("w.1", LEASE).jobs
        assert job.id == b"a"
        self.claim = job.claim

    def ends(self, verb: str, delay: int = 0) -> None:
        ends = [Ending(verb, b"a", self.claim, FIGURES, delay, "failed", {"error": "x"})]
        assert self.store.settle("w.1", LEASE, endings=ends) == []

    def is_back(self, way: str) -> None:
        """Bring the job back in line, by that way."""
        job = (b"a", self.claim)
        ways: dict[str, Callable[[], object]] = {
            "retry": lambda: self.ends("retry", 5000),
            "again": lambda: self.ends("retry"),
            "throttle": lambda: self.ends("throttle", 10),
            "hand back": lambda: self.store.hand_back("w.1", [job]),
            "release": lambda: self.store.release("w.1", [Blame("a", "crashes")]),
            "reap": lambda: reap(self.client),
            "reconcile": lambda: self.store.reconcile("w.1", [job]),
        }
        ways[way]()


def claimed(client: Client) -> Run:
    return Run(client)


def asked(client: Client) -> Run:
    run = Run(client)
    assert run.store.cancel(["a"]) == ["asked"]
    return run


def reap(client: Client) -> None:
    later = store(client, NOW + 2 * LEASE)
    assert later.reap("w.1", later.open_leases()["w.1"])


STEPS: dict[str, tuple[Callable[[Client], object], tuple[str, ...]]] = {
    "waits": (lambda c: None, ALL),
    "is delayed": (lambda c: store(c).reschedule(["a"], "+5000"), ALL),
    "runs": (claimed, ("finished", "ttl")),
    "waits for a retry": (lambda c: claimed(c).ends("retry", 5000), ALL),
    "is to run again": (lambda c: claimed(c).ends("retry"), ALL),
    "was handed back": (lambda c: (r := claimed(c)).store.hand_back("w.1", [(b"a", r.claim)]), ALL),
    "was crashed with": (lambda c: claimed(c).store.release("w.1", [Blame("a", "crashes")]), ALL),
    "was lost": (lambda c: (claimed(c), reap(c)), ALL),
    "was forgotten by its worker": (
        lambda c: (r := claimed(c)).store.reconcile("w.1", [(b"a", r.claim)]),
        ALL,
    ),
    "completed": (lambda c: claimed(c).ends("done"), ("ttl",)),
    "died": (lambda c: claimed(c).ends("dead"), ()),
    "ended as told": (lambda c: claimed(c).ends("cancelled"), ()),
    "was cancelled": (lambda c: store(c).cancel(["a"]), ()),
    "was cancelled, and retried": (lambda c: asked(c).ends("retry", 5000), ()),
    "was cancelled, and handed back": (
        lambda c: (r := asked(c)).store.hand_back("w.1", [(b"a", r.claim)]),
        (),
    ),
    "was cancelled, and crashed": (lambda c: asked(c).store.release("w.1"), ()),
    "was cancelled, and lost": (lambda c: (asked(c), reap(c)), ()),
    "was cancelled, and forgotten": (
        lambda c: (r := asked(c)).store.reconcile("w.1", [(b"a", r.claim)]),
        (),
    ),
    "has no arguments any more": (
        lambda c: (c.hdel("t:{q}:job:a", "args"), store(c).join("w.1", LEASE), store(c).claim("w.1", LEASE)),
        (),
    ),
    "was deleted": (lambda c: (claimed(c).ends("done"), store(c).delete(["a"])), ()),
    "was purged waiting": (lambda c: store(c).purge("waiting", ["a"]), ()),
    "was purged completed": (
        lambda c: (claimed(c).ends("done"), store(c).purge("completed", ["a"])),
        (),
    ),
    "is no longer recorded": (
        lambda c: (claimed(c).ends("done"), store(c).trim(NOTHING)),
        ("ttl",),
    ),
    "was retried by hand": (lambda c: (store(c).cancel(["a"]), store(c).retry(["a"])), ("finished", "started")),
    "was overwritten": (lambda c: c.hdel("t:{q}:job:a", "unique"), ("ttl",)),
}  # fmt: skip


@pytest.mark.parametrize("until", ALL)
@pytest.mark.parametrize("step", STEPS)
def test_a_lock_is_held_while_it_should_be(client: Client, step: str, until: str) -> None:
    """Asked by another job; and where it is free for good, nothing is left behind."""
    assert add(client, a_job("a", LOCKS[until])) == ["added"]
    take, held = STEPS[step]
    take(client)

    assert add(client, a_job("b", "finished aa")) == ["held a" if until in held else "added"]
    if until not in held:
        assert client.get(KEY) == b"b"
        assert store(client).cancel(["b"]) == ["cancelled"]
        assert client.exists(KEY) == 0


@pytest.mark.parametrize("until", ALL)
def test_an_end_takes_the_key_away(client: Client, until: str) -> None:
    """Though the truth decides, keys do not gather."""
    for verb in ("done", "dead", "cancelled"):
        client.flushall()
        add(client, a_job("a", LOCKS[until]))
        claimed(client).ends(verb)
        assert client.exists(KEY) == ((until, verb) == ("ttl", "done"))


def test_a_ttl_ends_by_redis_time_and_not_by_what_the_job_does(client: Client) -> None:
    """Redis' own time-out only cleans up after it."""
    add(client, a_job("a", LOCKS["ttl"], due="+900000"))
    assert TTL < client.pttl(KEY) <= TTL + 60_000
    assert add(client, a_job("b", LOCKS["ttl"]), now=NOW + TTL - 1) == ["held a"]
    assert add(client, a_job("b", LOCKS["ttl"]), now=NOW + TTL) == ["added"]
    assert store(client).cancel(["a"]) == ["cancelled"]
    assert add(client, a_job("c", LOCKS["ttl"]), now=NOW + TTL) == ["held b"]


def test_a_late_worker_lets_go_of_nobodys_lock(client: Client) -> None:
    """Its claim is old: nothing of the job is touched, and so not the lock of another."""
    add(client, a_job("a", "started aa"))
    run = claimed(client)
    assert add(client, a_job("b", "started aa")) == ["added"]
    reap(client)
    before = dump(client)
    with pytest.raises(Fenced):
        run.ends("dead")
    assert before == dump(client)
    store(client).cancel(["a"])
    assert client.get(KEY) == b"b"


@pytest.mark.parametrize("other", ["has ended", "runs", "waits"])
@pytest.mark.parametrize(
    "way", ["retry", "again", "throttle", "hand back", "release", "reap", "reconcile"]
)
def test_a_job_that_is_back_in_line_holds_its_lock_again_unless_another_has_it(
    client: Client, way: str, other: str
) -> None:
    """Another that began and ended meanwhile has taken the key away; one that runs holds nothing."""
    add(client, a_job("a", "started aa"))
    run = claimed(client)
    assert add(client, a_job("b", "started aa")) == ["added"]
    store(client).join("w.2", 3 * LEASE)
    if other != "waits":
        [b] = store(client).claim("w.2", 3 * LEASE).jobs
    if other == "has ended":
        done = Ending("done", b.id, b.claim, FIGURES, 0, "")
        assert store(client).settle("w.2", 3 * LEASE, endings=[done]) == []
        assert client.exists(KEY) == 0
    run.is_back(way)

    assert client.get(KEY) == (b"b" if other == "waits" else b"a")
    assert add(client, a_job("c", "started aa")) == ["held b" if other == "waits" else "held a"]


def test_of_two_that_are_retried_together_one_takes_the_lock(client: Client) -> None:
    """In one call too; the other stays where it is and is told why."""
    for until in ("finished", "started"):
        client.flushall()
        for job_id in ("a", "b"):
            add(client, a_job(job_id, LOCKS[until]))
            store(client).cancel([job_id])
        assert store(client).retry(["a", "b"]) == ["retried", "duplicate"]
        assert store(client).retry(["b"]) == ["duplicate"]
        assert (client.zrange("t:{q}:waiting", 0, -1), client.get(KEY)) == ([b"a"], b"a")


def test_the_last_of_a_row_keeps_the_place_of_the_first(client: Client) -> None:
    """So that adds in a steady stream starve nobody."""
    latest = "started aa replace"
    assert add(client, a_job("a", latest), a_job("x"), a_job("b", latest)) == [
        "added",
        "added",
        "replaced",
    ]
    assert add(client, a_job("c", latest, priority=3)) == ["replaced"]
    assert client.zrange("t:{q}:waiting", 0, -1) == [b"c", b"x"]
    assert add(client, a_job("d", latest, due="+500")) == ["replaced"]
    assert add(client, a_job("e", latest)) == ["replaced"]
    assert client.zrange("t:{q}:waiting", 0, -1) == [b"x", b"e"]
    assert client.zcard("t:{q}:cancelled") == 4
    assert client.hget("t:{q}:tally", "cancelled|t") == b"4"
    assert store(client, NOW + 599_999).trim(resolve()).removed == 0
    assert store(client, NOW + 600_000).trim(resolve()).removed == 4


def test_a_key_of_another_type_is_no_lock(client: Client) -> None:
    """A stranger's: it is taken over, and breaks nothing half way."""
    client.rpush(KEY, "x")
    assert add(client, a_job("first"), a_job("a", "finished aa")) == ["added", "added"]
    client.delete(KEY)
    client.hset(KEY, "x", "y")
    assert store(client).cancel(["a"]) == ["cancelled"]
    assert store(client).retry(["a"]) == ["retried"]
    client.set(KEY, "no such job at all")
    assert add(client, a_job("b", "finished aa")) == ["added"]


def test_a_full_server_refuses_jobs_on_terms_too(client: Client) -> None:
    """Before anything is changed; ends let go of their locks all the same."""
    add(client, a_job("a", "finished aa"), a_job("n"))
    store(client).cancel(["n"])
    run = claimed(client)
    client.config_set("maxmemory", "1")
    before = dump(client)
    for job in (
        a_job("b", "finished bb"),
        a_job("n", nonce="1"),
        a_job("c", "finished aa replace"),
    ):
        if job.id == "c":
            assert add(client, job) == ["held a"]
            continue
        with pytest.raises(StoreFull):
            add(client, job)
    assert before == dump(client)
    run.ends("done")
    assert client.exists(KEY) == 0
    client.config_set("maxmemory", "0")


def test_a_worker_of_an_older_version_leaves_a_key_that_holds_nothing(client: Client) -> None:
    """It settles the job as a plain one: the truth about the holder decides."""
    add(client, a_job("a", "finished aa"))
    run = claimed(client)
    assert (
        run.store.settle("w.1", LEASE, completed=[Completed(b"a", run.claim, FIGURES, b"")]) == []
    )
    assert client.exists(KEY) == 1
    assert add(client, a_job("b", "finished aa")) == ["added"]


@pytest.mark.parametrize(
    "key", ["waiting", "cancelled", "meta", "tally", f"recent:{NOW // 30_000}"]
)
def test_beside_a_key_of_a_wrong_type_nothing_is_added(client: Client, key: str) -> None:
    """Refused before the first write (I-03)."""
    client.set("t:{q}:" + key, "x")
    before = dump(client)
    with pytest.raises(BrokerError, match=f"{key} is a string, expected"):
        add(client, a_job("x"), a_job("a", "finished aa", nonce="n"))
    assert before == dump(client)


def test_a_call_is_known_as_long_as_its_job_is_recorded(client: Client) -> None:
    """And a minute after it began it in any case."""
    add(client, a_job("a"))
    claimed(client).ends("done")
    assert add(client, a_job("a", nonce="one")) == ["replaced"]
    claimed(client).ends("done")
    late = NOW + 3_600_000
    assert add(client, a_job("a", nonce="one"), now=late) == ["duplicate"]
    assert add(client, a_job("a", nonce="two"), now=late) == ["replaced"]


def test_a_job_that_waits_for_a_retry_makes_way_too(client: Client) -> None:
    """What it was to do is out of date; one that runs is left alone."""
    add(client, a_job("a", "finished aa"))
    run = claimed(client)
    assert add(client, a_job("b", "finished aa replace")) == ["held a"]
    run.ends("retry", 5000)
    assert add(client, a_job("b", "finished aa replace")) == ["replaced"]
    assert client.zrange("t:{q}:cancelled", 0, -1) == [b"a"]
    assert (client.zrange("t:{q}:waiting", 0, -1), client.get(KEY)) == ([b"b"], b"b")
