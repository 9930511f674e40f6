"""What a running job writes into its record, on a real server: notes, and values of steps."""

from __future__ import annotations

from typing import Any

import pytest

from jobd.broker.commands import Completed, End, Ending, Jot
from jobd.broker.connection import Client, run
from jobd.broker.new_job import NewJob
from jobd.broker.replies import read_ends
from jobd.broker.store import Store
from jobd.core.errors import Fenced

LEASE = 30_000
NOW = 1_800_000_000_000
FIGURES = "noop|0|0|0"
JOB = "t:{q}:job:a"


def store(client: Client, now: int = NOW) -> Store:
    return Store(client, "t", "q", now=now)


def claimed(client: Client, worker: str = "w.1") -> int:
    """Add job `a` unless it is there, and claim it."""
    store(client).add([NewJob("a", "noop", b"{}")])
    store(client).join(worker, LEASE)
    return store(client).claim(worker, LEASE).number


def lines(*numbers: int) -> list[bytes]:
    return [b"[%d]\n" % n for n in numbers]


def log(client: Client) -> bytes:
    found: Any = client.hget(JOB, "~log")
    return found or b""


def dump(client: Client) -> dict[bytes, Any]:
    read = {b"hash": client.hgetall, b"set": client.smembers}
    return {k: read.get(client.type(k), client.dump)(k) for k in sorted(client.keys("*"))}


def test_what_a_run_says_is_taken_in_once(client: Client) -> None:
    """A call whose reply was lost is sent again, with what came since: no line stands there twice."""
    n = claimed(client)
    first = Jot(b"a", n, 1, b"0.1", 0, lines(0, 1))
    assert store(client).jot("w.1", [first]) == []
    before = dump(client)
    assert store(client).jot("w.1", [first]) == []
    assert before == dump(client)
    assert store(client).jot("w.1", [Jot(b"a", n, 2, b"0.2", 0, lines(0, 1, 2))]) == []
    assert (log(client), client.hget(JOB, "~progress")) == (b"[0]\n[1]\n[2]\n", b"0.2")
    # An older call that sat in a socket until now.
    assert store(client).jot("w.1", [first]) == []
    assert (log(client), client.hget(JOB, "~progress")) == (b"[0]\n[1]\n[2]\n", b"0.2")


def test_the_next_run_goes_on_in_the_same_log(client: Client) -> None:
    """Each run numbers its own lines."""
    n = claimed(client)
    store(client).jot("w.1", [Jot(b"a", n, 1, b"0.9", 0, lines(0, 1))])
    ends = [Ending("retry", b"a", n, FIGURES, 0, "failed", {"failed": 1})]
    store(client).settle("w.1", LEASE, endings=ends)
    m = claimed(client)
    store(client).jot("w.1", [Jot(b"a", m, 1, b"", 0, lines(7))])
    assert log(client) == b"[0]\n[1]\n[7]\n"


@pytest.mark.parametrize("length", [1, 500, 4000])
def test_a_log_is_bounded_and_counts_what_it_dropped(client: Client, length: int) -> None:
    """A thousand lines, 64 KiB; the newest are kept, whole."""
    n = claimed(client)
    said = [b'"%0*d"\n' % (length, i) for i in range(1500)]
    taken = 0
    for version, size in enumerate((1, 700, 1, 798), 1):
        jot = Jot(b"a", n, version, b"", taken, said[taken : taken + size])
        store(client).jot("w.1", [jot])
        taken += size
    kept = log(client).splitlines(keepends=True)
    assert kept == said[-len(kept) :]
    assert len(kept) == min(1000, 65_536 // len(said[0]))
    assert client.hget(JOB, "~noted") == b"%d 4 1500 %d %d" % (n, len(kept), 1500 - len(kept))


def test_what_a_run_dropped_itself_counts_too(client: Client) -> None:
    """Its numbers jump."""
    n = claimed(client)
    store(client).jot("w.1", [Jot(b"a", n, 1, b"", 5, lines(5, 6))])
    store(client).jot("w.1", [Jot(b"a", n, 2, b"", 10, lines(10))])
    assert client.hget(JOB, "~noted") == b"%d 2 11 3 8" % n


def test_a_later_claim_does_not_carry_the_notes(client: Client) -> None:
    """It is told that they are there: a step's name is all that its run needs to know."""
    n = claimed(client)
    store(client).jot("w.1", [Jot(b"a", n, 1, b"0.5", 0, lines(1))])
    store(client).step("w.1", "a", n, "charge", b'"receipt"')
    store(client).hand_back("w.1", [(b"a", n)])
    [job] = store(client).claim("w.1", LEASE).jobs
    notes = {name: value for name, value in job.more.items() if name.startswith(b"~")}
    names = {b"~noted", b"~log", b"~progress", b"~steps", b"~once:charge"}
    assert notes == dict.fromkeys(names, b"")


def test_a_step_is_recorded_once(client: Client) -> None:
    """The first value stays; asking writes nothing; a repeat is told what is there."""
    n = claimed(client)
    s = store(client)
    assert s.step("w.1", "a", n, "charge") == [b"none"]
    assert s.step("w.1", "a", n, "charge", b"1") == [b"recorded"]
    before = dump(client)
    assert s.step("w.1", "a", n, "charge", b"2") == [b"known", b"1"]
    assert s.step("w.1", "a", n, "charge") == [b"known", b"1"]
    assert before == dump(client)


def test_steps_are_bounded(client: Client) -> None:
    """In bytes and in number; that there is no value can be said as long as there is a place."""
    n = claimed(client)
    s = store(client)
    large = b'"' + b"x" * 131_070 + b'"'
    assert [s.step("w.1", "a", n, f"s{i}", large) for i in range(8)] == [[b"recorded"]] * 8
    assert s.step("w.1", "a", n, "s8", b"1") == [b"full"]
    assert s.step("w.1", "a", n, "s8", b"!too much") == [b"recorded"]
    client.hset(JOB, "~steps", "1000 1000")
    assert s.step("w.1", "a", n, "s9", b"1") == [b"full"]


@pytest.mark.parametrize("gone", ["settled", "elsewhere", "handed back", "closed", "overwritten"])
def test_a_stale_run_changes_nothing_and_is_told_so(client: Client, gone: str) -> None:
    """Not a byte (I-07)."""
    n = claimed(client)
    name = "w.1"
    s = store(client)
    if gone == "settled":
        s.settle("w.1", LEASE, completed=[Completed(b"a", n, FIGURES, b"")])
    elif gone == "elsewhere":
        s.release("w.1")
        s.join("w.2", LEASE)
        assert s.claim("w.2", LEASE).jobs
        name = "w.2"  # even with the owner's name, the claim is another
    elif gone == "handed back":
        s.hand_back("w.1", [(b"a", n)])
    elif gone == "closed":
        client.zadd("t:{q}:leases", {"w.1": 0})
    else:
        client.set(JOB, "a stranger's")
    before = dump(client)

    try:
        assert s.jot(name, [Jot(b"a", n, 1, b"0.5", 0, lines(1))]) == [b"a"]
    except Fenced:
        assert gone == "closed"
    assert s.step(name, "a", n, "charge") == [b"stale"]
    assert s.step(name, "a", n, "charge", b"1") == [b"stale"]
    assert before == dump(client)


def test_a_stale_run_is_told_and_its_neighbours_are_heard(client: Client) -> None:
    """One call is about many runs."""
    n = claimed(client)
    stale = Jot(b"b", n, 1, b"0.5", 0, lines(1, 2))
    assert store(client).jot("w.1", [stale, Jot(b"a", n, 1, b"", 0, lines(3))]) == [b"b"]
    assert (log(client), client.exists("t:{q}:job:b")) == (b"[3]\n", 0)


def test_nothing_of_a_job_outlives_it(client: Client) -> None:
    """With notes and steps, a job that is removed leaves no key, whatever removes it."""
    n = claimed(client)
    store(client).jot("w.1", [Jot(b"a", n, 1, b"0.5", 0, lines(1))])
    store(client).step("w.1", "a", n, "charge", b"1")
    store(client).settle("w.1", LEASE, completed=[Completed(b"a", n, FIGURES, b"")], keep=0)
    assert [key for key in client.keys("*") if b"recent" not in key and b":a" in key] == []


def test_what_is_not_as_it_was_written_is_begun_anew(client: Client) -> None:
    """Whatever a stranger put into the fields: no script fails over it."""
    n = claimed(client)
    garbage = dict.fromkeys(("~noted", "~log", "~progress", "~steps"), "ÿ 9 x")
    client.hset(JOB, mapping=garbage)
    assert store(client).jot("w.1", [Jot(b"a", n, 1, b"0.5", 0, lines(1))]) == []
    assert store(client).step("w.1", "a", n, "charge", b"1") == [b"recorded"]
    assert client.hget(JOB, "~noted") == b"%d 1 1 1 0" % n
    client.hset(JOB, "~noted", f"{n} 1 1 {'9' * 15} 0")
    assert store(client).jot("w.1", [Jot(b"a", n, 2, b"", 1, lines(2))]) == []


def test_a_full_server_takes_notes(client: Client) -> None:
    """What runs goes on at maxmemory."""
    n = claimed(client)
    client.config_set("maxmemory", "1")
    assert store(client).jot("w.1", [Jot(b"a", n, 1, b"0.5", 0, lines(1))]) == []
    assert store(client).step("w.1", "a", n, "charge", b"1") == [b"recorded"]
    client.config_set("maxmemory", "0")


def test_who_asks_for_an_end_learns_it_or_is_told_later(client: Client) -> None:
    """Looking and asking to be told are one step; only what has not ended is awaited."""
    s = store(client)
    ids = ["done", "empty", "died", "off", "runs", "a", "later", "nobody"]
    s.add([NewJob(i, "noop", b"{}") for i in ids[:6]])
    s.add([NewJob("later", "noop", b"{}", due="+9")])
    s.cancel(["off"])
    s.join("w.1", LEASE)
    claim = s.claim("w.1", LEASE, slots=4)
    n = claim.number
    assert [job.id for job in claim.jobs] == [b"done", b"empty", b"died", b"runs"]
    done = [Completed(b"done", n, FIGURES, b"[1]"), Completed(b"empty", n, FIGURES, b"")]
    dead = [Ending("dead", b"died", n, FIGURES, 0, "failed", {"error": "no"})]
    s.settle("w.1", LEASE, completed=done, endings=dead)
    command = s.commands.await_ends(ids, 1000)
    waits = End("waits")
    assert read_ends(run(client, command)) == [
        End("completed", b"[1]"), End("completed", None), End("dead", b"failed", b"no"),
        End("cancelled"), waits, waits, waits, End("gone"),
    ]  # fmt: skip
    awaited = {b"runs": NOW + 1000, b"a": NOW + 1000, b"later": NOW + 1000}
    assert dict(client.zrange("t:{q}:awaited", 0, -1, withscores=True)) == awaited
