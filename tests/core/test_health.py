"""The laws of health: what makes a daemon live and ready, in random facts and in virtual time."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import worlds

from jobd.core.health import (
    LOOK_WITHIN,
    PROGRESS_WITHIN,
    REDIS_WITHIN,
    SILENT_AFTER,
    WORKER_WITHIN,
    Facts,
    HostSeen,
    PageSeen,
    QueueSeen,
    RedisSeen,
    followed,
    liveness,
    parted,
    readiness,
)
from jobd.core.server_facts import Unfit

NOW = 1000.0
replace = msgspec.structs.replace

BAD = Unfit("error", "role: slave; expected the primary; point redis.url at the primary")
DOUBTFUL = Unfit("warning", "persistence: off; expected AOF or RDB; set `appendonly yes`")

instants = st.sampled_from(
    [
        NOW - age
        for age in (0.0, 0.5, 1.0, 1.1, 2.4, 2.6, 4.9, 5.1, 7.9, 8.1, 9.9, 10.0, 11.0, 999.0)
    ]
)
maybe = st.none() | instants
queues = st.builds(
    QueueSeen,
    wanted=st.integers(0, 2),
    workers=st.integers(0, 2),
    busy=st.integers(0, 2),
    gave_up=st.sampled_from([False, False, False, True]),
    alive_at=maybe,
    progress_at=maybe,
)
facts = st.builds(
    Facts,
    heard_at=instants,
    ready=st.booleans(),
    stopping=st.booleans(),
    lease=st.sampled_from([1.8, 2.2, 30.0]),
    redis=st.builds(
        RedisSeen,
        answered_at=maybe,
        trouble=st.sampled_from([None, None, "redis: x cannot be reached; start it"]),
        unfit=st.lists(st.sampled_from([BAD, DOUBTFUL]), max_size=2).map(tuple),
        lost_at=st.none() | maybe,
    ),
    host=st.builds(
        HostSeen,
        looked_at=maybe,
        trouble=st.sampled_from([None, None, "state.json: not a state file"]),
        stale_since=st.sampled_from([None, None, NOW - 3.0]),
        queues=st.dictionaries(st.sampled_from("ab"), queues, max_size=2),
        down=st.dictionaries(st.sampled_from(["keeper", "web"]), instants),
        reload_refused=st.booleans(),
    ),
)


def well() -> Facts:
    """A daemon that wants nothing."""
    queue = QueueSeen(wanted=1, workers=1, alive_at=NOW, progress_at=NOW)
    return Facts(
        heard_at=NOW,
        ready=True,
        redis=RedisSeen(answered_at=NOW),
        host=HostSeen(looked_at=NOW, queues={"q": queue}),
    )


def _recent(at: float | None, span: float) -> bool:
    return at is not None and NOW - at <= span


def _can_work(seen: Facts) -> bool:
    """What readiness means, said once more."""
    redis, host = seen.redis, seen.host
    return (
        NOW - seen.heard_at < SILENT_AFTER
        and seen.ready
        and not seen.stopping
        and _recent(redis.answered_at, REDIS_WITHIN)
        and redis.trouble is None
        and BAD not in redis.unfit
        and _recent(host.looked_at, LOOK_WITHIN)
        and host.trouble is None
        and host.stale_since is None
        and NOW - host.down.get("keeper", NOW) <= seen.lease / 2
        and all(
            queue.wanted == 0
            or (
                not queue.gave_up
                and _recent(queue.alive_at, WORKER_WITHIN)
                and _recent(queue.progress_at, PROGRESS_WITHIN)
                and (redis.lost_at is None or (queue.progress_at or 0) > redis.lost_at)
            )
            for queue in host.queues.values()
        )
    )


@settings(max_examples=worlds(600))
@given(seen=facts)
def test_ready_is_who_can_take_work_and_nobody_else(seen: Facts) -> None:
    health = readiness(seen, NOW)
    assert health.ok is _can_work(seen)
    assert health.ok is (health.status == "ready") is (not health.reasons)
    for reason in [*health.reasons, *health.warnings]:
        assert reason.why
        assert reason.do
    body = msgspec.json.decode(msgspec.json.encode(health))
    assert set(body) == {"ok", "status", "reasons", "warnings", "queues"}
    assert set(body["queues"]) == set(seen.host.queues)


@given(seen=facts, age=st.floats(0, 30))
def test_live_is_who_turns_whatever_else_there_is(seen: Facts, age: float) -> None:
    seen = replace(seen, heard_at=NOW - age)
    health = liveness(seen, NOW)
    assert health.ok is (NOW - seen.heard_at < SILENT_AFTER)
    assert health.ok or not readiness(seen, NOW).ok


@given(seen=facts)
def test_warnings_make_nobody_unready(seen: Facts) -> None:
    calm = replace(
        seen,
        redis=replace(seen.redis, unfit=tuple(u for u in seen.redis.unfit if u.level == "error")),
        host=replace(seen.host, reload_refused=False, down=_unwarned(seen)),
    )
    assert readiness(calm, NOW).ok is readiness(seen, NOW).ok
    assert not readiness(calm, NOW).warnings


def _unwarned(seen: Facts) -> dict[str, float]:
    """Who is down is a warning until it is a reason."""
    return {
        name: at
        for name, at in seen.host.down.items()
        if name == "keeper" and NOW - at > seen.lease / 2
    }


def _redis(**changes: object) -> Facts:
    return replace(well(), redis=replace(well().redis, **changes))


def _host(**changes: object) -> Facts:
    return replace(well(), host=replace(well().host, **changes))


def _queue(**changes: object) -> Facts:
    return _host(queues={"q": replace(well().host.queues["q"], **changes)})


@pytest.mark.parametrize(
    ("seen", "what", "status"),
    [
        (replace(well(), heard_at=NOW - 10), "supervisor_silent", "silent"),
        (replace(well(), stopping=True), "draining", "draining"),
        (replace(well(), ready=False), "starting", "starting"),
        (_redis(answered_at=None), "starting", "starting"),
        (_redis(answered_at=NOW - 2.6), "redis_unreachable", "unready"),
        (_redis(trouble="redis: refused; start it"), "redis_unreachable", "unready"),
        (_redis(unfit=(BAD,)), "store_unfit", "unready"),
        (_redis(lost_at=NOW), "queue_no_progress", "unready"),
        (_host(looked_at=None), "starting", "starting"),
        (_host(looked_at=NOW - 6), "state_unread", "unready"),
        (_host(trouble="state.json: cut off"), "state_unread", "unready"),
        (_host(stale_since=NOW - 7), "state_stale", "unready"),
        (_host(stale_since=NOW, queues={"q": QueueSeen(wanted=1)}), "state_stale", "unready"),
        (_host(down={"keeper": NOW - 15.1}), "keeper_down", "unready"),
        (_queue(gave_up=True), "gave_up", "unready"),
        (_queue(alive_at=None), "queue_no_worker", "unready"),
        (_queue(alive_at=NOW - 1.1), "queue_no_worker", "unready"),
        (_queue(progress_at=None), "queue_no_progress", "unready"),
        (_queue(progress_at=NOW - 9), "queue_no_progress", "unready"),
    ],
)
def test_each_trouble_has_its_word(seen: Facts, what: str, status: str) -> None:
    assert readiness(well(), NOW).ok
    health = readiness(seen, NOW)
    assert [reason.what for reason in health.reasons] == [what]
    assert health.status == status
    if what in ("gave_up", "queue_no_worker", "queue_no_progress"):
        assert health.reasons[0].queue == "q"
        assert not health.queues["q"].ok


def test_what_comes_of_another_trouble_is_not_told_beside_it() -> None:
    """Where Redis is away nobody's claims are answered; where the daemon drains nobody claims."""
    away = replace(_queue(progress_at=NOW - 60), redis=RedisSeen(trouble="redis: hangs; wait"))
    assert [each.what for each in readiness(away, NOW).reasons] == ["redis_unreachable"]
    drains = replace(_queue(alive_at=NOW - 60), stopping=True)
    assert [each.what for each in readiness(drains, NOW).reasons] == ["draining"]


def test_a_message_of_the_house_falls_into_why_and_what_to_do() -> None:
    assert parted("role: slave; expected the primary; point there") == (
        "role: slave; expected the primary",
        "point there",
    )
    assert parted("it broke") == ("it broke", "see the log")


def test_a_helper_is_told_of_when_it_stays_away() -> None:
    health = readiness(_host(down={"keeper": NOW - 3, "web": NOW}), NOW)
    assert health.ok
    [warning] = health.warnings
    assert warning.what == "helper_down"
    assert warning.why.startswith("keeper is not up, for 3 s")


@given(lease=st.floats(0.5, 600), age=st.floats(0, 600))
def test_without_a_keeper_for_half_a_lease_it_is_ready_no_more(lease: float, age: float) -> None:
    """Before the first lease can end: they are renewed more often than that."""
    seen = replace(_host(down={"keeper": NOW - age, "web": NOW - 600}), lease=lease)
    health = readiness(seen, NOW)
    late = NOW - seen.host.down["keeper"] > lease / 2
    assert [each.what for each in health.reasons] == (["keeper_down"] if late else [])
    assert "web" in [each.why.partition(" ")[0] for each in health.warnings]
    drains = readiness(replace(seen, stopping=True), NOW)
    assert [each.what for each in drains.reasons] == ["draining"]


# --- from look to look ---

LOOK = 0.5


class Life:
    """A queue of one worker that works, waits, dies and is replaced; nothing is ever wrong for long.

    But for Redis, which goes away now and then: `away_until`. A worker claims within 3 s of its return.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = NOW
        self.asked = NOW
        self.busy_until = 0.0
        self.gone_until = NOW
        self.away_until = 0.0
        self.claims_from = 0.0  # after that
        self.deaf = False
        self.dead = False
        self.redis = RedisSeen(answered_at=NOW)
        self.redis_at = NOW
        self.seen: QueueSeen | None = None

    def look(self) -> bool:
        """Live for the time of a look; say whether the daemon is ready then."""
        end = self.now + LOOK
        while self.now < end:
            self.now += 0.1
            self._live()
        self._look_at_redis()
        pages = []
        if not self.dead and self.now >= self.gone_until:
            busy = int(self.now < self.busy_until)
            pages = [PageSeen(queue="q", asked=self.asked, busy=busy, cells=1)]
        self.seen = followed(self.seen, QueueSeen(wanted=1), pages, self.now)
        facts = Facts(
            heard_at=self.now,
            ready=True,
            redis=self.redis,
            host=HostSeen(looked_at=self.now, queues={"q": self.seen}),
        )
        return readiness(facts, self.now).ok

    def _look_at_redis(self) -> None:
        if self.now < self.redis_at:
            return
        self.redis_at = self.now + 1.0
        if self.now >= self.away_until:
            self.redis = replace(self.redis, answered_at=self.now, trouble=None)
        else:
            self.redis = replace(self.redis, trouble="it hangs; wait", lost_at=self.now)

    def _live(self) -> None:
        if self.deaf or self.now < max(self.gone_until, self.busy_until, self.claims_from):
            return
        if self.now - self.asked > self.rng.uniform(0.1, 3.0):
            self.asked = self.now
            match self.rng.randrange(8):
                case 0:
                    self.busy_until = self.now + self.rng.choice((0.05, 3.0, 60.0))
                case 1 if self.now > self.gone_until + 3.0:
                    # Its successor takes a moment to be asked for the first time.
                    self.gone_until = self.now + self.rng.uniform(0.0, 0.4)
                    self.asked = 0.0 if self.rng.random() < 0.5 else self.asked
                case 2:
                    self.away_until = self.now + self.rng.uniform(0.0, 15.0)
                    self.claims_from = self.away_until + self.rng.uniform(0.0, 3.0)


@settings(max_examples=worlds(100), deadline=None)
@given(
    seed=st.integers(0, 2**32), looks=st.integers(1, 200), ends=st.sampled_from(["deaf", "dead"])
)
def test_who_works_is_never_called_unready_and_who_does_not_is_soon(
    seed: int, looks: int, ends: str
) -> None:
    life = Life(seed)
    got_over = 0.0  # the end of the last absence of Redis after which it was ready again
    for _ in range(looks):
        is_ready = life.look()
        assert is_ready or life.away_until > got_over, "a false alarm"
        assert is_ready or life.now - life.away_until <= 5.0, "Redis is back, and it is not ready"
        if is_ready and life.now > life.away_until:
            got_over = life.away_until
    life.away_until = 0.0
    setattr(life, ends, True)
    since = max(life.now, life.busy_until if ends == "deaf" else 0.0)
    late = (PROGRESS_WITHIN if ends == "deaf" else WORKER_WITHIN) + 2 * LOOK
    while life.look():
        assert life.now <= since + late, f"{ends}, and still ready"
