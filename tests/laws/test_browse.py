"""The laws of leafing through jobs while they come and go.

Whoever stands still is shown once: never skipped, never twice. Whoever is shown was there. What has
come to an end before a page is read is in it as often as nobody moved it. And each call looks at no
more jobs than it may.
"""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.examples import worlds

from jobd.broker.browse_cursor import Place
from jobd.broker.browse_pages import Pager
from jobd.broker.browse_walk import Walk
from jobd.broker.connection import Client
from jobd.broker.finding import Wanted
from jobd.broker.keys import QueueKeys
from jobd.core.states import ACTIVE, DEAD, DELAYED, STATES, TERMINAL, WAITING

KEYS = QueueKeys("t", "q")
# Few scores, so that many share one; far and negative ones, a pause's, and what no program of ours writes.
SCORES = st.sampled_from(
    [0, 1, 1, 2, -3, 1_800_000_000_000, 4e15, 8191 * 2**40 + 7, -1.5, float("inf")]
)
IDS = st.sampled_from(
    [b"%d" % n for n in range(12)] + [b"a", b"aa", b"a\xff", b"B", b"\x00", b"a\x00b"]
)
TASKS = ("mail", "bill")
# No list of these worlds has more pages.
LONGEST = 100
MOVES = st.lists(st.tuples(IDS, st.one_of(st.none(), SCORES)), max_size=4)


def put(client: Client, state: str, job: bytes, score: float | None) -> None:
    """Move one job: to another place of this state, or out of it."""
    holders = (b"w.1", b"w.2", b"w.3")
    if state == ACTIVE:
        for worker in holders:
            client.hdel(KEYS.held(worker.decode()), job)
        if score is not None:
            worker = holders[int(abs(hash(score))) % 3]
            client.zadd(KEYS.leases, {worker: 1})
            client.hset(KEYS.held(worker.decode()), job, int(min(abs(score), 1e15)))
    elif score is None:
        client.zrem(getattr(KEYS, state), job)
    else:
        client.zadd(getattr(KEYS, state), {job: score})
    client.hset(KEYS.job_prefix.encode() + job, "task", TASKS[sum(job) % 2])


def wanted_of(task: str | None) -> Wanted:
    return Wanted(task=task)


@settings(
    max_examples=worlds(60),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    state=st.sampled_from(STATES),
    there=st.dictionaries(IDS, SCORES, max_size=18),
    rounds=st.lists(MOVES, max_size=12),
    limit=st.integers(1, 5),
    most=st.integers(5, 9),
    task=st.sampled_from([None, *TASKS]),
)
@example(
    # All share one score, and the place of the cursor is taken away each time.
    state=DEAD,
    there={b"%d" % n: 1 for n in range(9)},
    rounds=[[(b"8", None), (b"7", None)], [(b"5", None)], [(b"4", None)]],
    limit=2,
    most=9,
    task=None,
)
def test_who_stands_still_is_shown_once(
    client: Client,
    state: str,
    there: dict[bytes, float],
    rounds: list[list[tuple[bytes, float | None]]],
    limit: int,
    most: int,
    task: str | None,
) -> None:
    """Over all pages, whatever is added, moved or taken away between any two of them."""
    client.flushall()
    for job, score in there.items():
        put(client, state, job, score)
    pager = Pager(client, "t", "q", state)
    ever, moved, shown = set(there), set[bytes](), list[bytes]()
    cursor, coming = None, iter(rounds)
    for _ in range(LONGEST):
        page = pager.page(wanted_of(task), cursor=cursor, limit=limit, most=most)
        assert len(page.rows) <= limit
        assert page.scanned <= most
        shown += [_raw(row.id, ever) for row in page.rows]
        assert all(row.task == task for row in page.rows if task)
        if (cursor := page.next) is None:
            break
        for job, score in next(coming, []):
            put(client, state, job, score)
            moved.add(job)
            ever.add(job)
    assert cursor is None

    still = {job for job in set(there) - moved if task in (None, TASKS[sum(job) % 2])}
    assert set(shown) <= ever
    for job in still:
        assert shown.count(job) == 1, (job, shown)
    if not moved:
        assert len(shown) == len(still)


@settings(
    max_examples=worlds(40),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    state=st.sampled_from([s for s in STATES if s != ACTIVE]),
    there=st.dictionaries(IDS, SCORES, max_size=18),
    score=SCORES,
    job=IDS,
)
def test_a_walk_goes_on_behind_any_place_in_the_order_of_the_container(
    client: Client, state: str, there: dict[bytes, float], score: float, job: bytes
) -> None:
    """By score and then by the bytes of the id, taken or not; ended jobs the other way round."""
    client.flushall()
    for each, at in there.items():
        put(client, state, each, at)
    walk = Walk(client, "t", "q", state)
    found = walk.go(Place(b"%.17g" % score, job), 100)

    order = sorted((at, each) for each, at in there.items())
    rest = [each for each in order if each > (score, job)]
    if state in TERMINAL:
        rest = [each for each in reversed(order) if each < (score, job)]
    assert [seen.place.id for seen in found.jobs] == [each for _, each in rest]
    assert (found.size, found.is_last) == (len(there), True)
    last = [stretch.jobs[-1].place for stretch in walk.stretches() if stretch.jobs][-1:]
    assert [walk.last()] == (last or [None])


@settings(
    max_examples=worlds(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    state=st.sampled_from([DEAD, WAITING, DELAYED]),
    ages=st.lists(st.integers(0, 12), max_size=14),
    older=st.one_of(st.none(), st.integers(0, 12)),
    newer=st.one_of(st.none(), st.integers(0, 12)),
    limit=st.integers(1, 4),
)
def test_ages_are_kept_at_their_very_edges(
    client: Client,
    state: str,
    ages: list[int],
    older: int | None,
    newer: int | None,
    limit: int,
) -> None:
    """Whether they are found by their place, as what has ended is, or one by one; over all pages."""
    client.flushall()
    now = 1_000
    for n, age in enumerate(ages):
        client.zadd(getattr(KEYS, state), {f"j{n}": now - age if state == DEAD else n})
        client.hset(KEYS.job(f"j{n}"), "at", now - age)
    wanted = Wanted(older_than_ms=older, newer_than_ms=newer)
    shown, cursor, at = list[str](), None, now
    for _ in range(LONGEST):
        # The clock goes on: the list is of the moment it began.
        page = Pager(client, "t", "q", state, now=at).page(wanted, cursor=cursor, limit=limit)
        shown += [row.id for row in page.rows]
        at += 5
        if (cursor := page.next) is None:
            break

    fits = [
        f"j{n}"
        for n, age in enumerate(ages)
        if (older is None or age >= older) and (newer is None or age <= newer)
    ]
    assert sorted(shown) == sorted(fits)


def _raw(job_id: str, ever: set[bytes]) -> bytes:
    """Give back the bytes of an id that was made readable."""
    [raw] = [job for job in ever if job.decode("utf-8", "replace") == job_id]
    return raw
