"""The laws of judging who makes no progress, in random lives and virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.supervisor.progress import (
    NEVER,
    Doubt,
    Sight,
    Spans,
    Store,
    Verdict,
    Voice,
    after_sleep,
    heard,
    heard_of_store,
    keeper,
    loading,
    preloader,
    service,
    worker,
)

SPANS = Spans(hang_after=10.0, boot_timeout=20.0, lease=24.0)
LOOK = 0.25
CELLS = 4
# After it was frozen, until it turns.
LAG = 2 * LOOK
# How far a verdict may lie behind the instant from which it is due.
SLACK = 4 * LOOK


@dataclass
class Life:
    """A worker in a world that goes wrong; what is true of it is known, what is seen is its page."""

    rng: random.Random
    now: float = 1000.0
    born: float = 1000.0
    beat: float = 0.0
    asked: float = 0.0
    # What is the matter, each with its end.
    booting: float = 1000.0
    away: float = 0.0  # Redis, for everybody
    task: float = 0.0  # that holds the GIL
    filled: float = 0.0  # all cells in use
    frozen: float = 0.0
    woken: float = 0.0
    slept: bool = False
    leaving: bool = False
    stands: float = NEVER  # from then on the loop never turns
    deaf: float = NEVER  # from then on no claim is answered
    doubt: Doubt = field(default_factory=Doubt)
    store: Store = field(default_factory=Store)
    turned_at: float = 1000.0
    verdict: Verdict | None = None

    def look(self) -> Verdict | None:
        """Live for the time of a look, then be looked at."""
        self.now += LOOK
        now = self.now
        ready = max(self.booting, self.task, self.frozen + LAG, self.woken + LAG)
        turns = ready <= now < self.stands
        if turns and now - self.turned_at >= (3.5 if now < self.away else 0.0):
            self.turned_at = self.beat = now
            if now >= max(self.away, self.filled) and now < self.deaf and not self.leaving:
                self.asked = now
        late = now - self.store.heard_at > 2.0
        if not self.slept and (late or self.rng.random() < 0.25):
            self.store = heard_of_store(self.store, now >= self.away, now)
        sight = Sight(
            since=self.born,
            beat=self.beat,
            asked=self.asked,
            busy=CELLS if now < self.filled else int(now < self.task),
            cells=CELLS,
            joined=self.asked > 0,
            leaving=self.leaving,
            frozen=now < self.frozen,
        )
        self.doubt, self.verdict = worker(
            self.doubt, sight, self.store, SPANS, slept=self.slept, now=now
        )
        self.slept = False
        return self.verdict

    def trouble(self) -> None:
        """Let one thing go wrong that is nobody's fault."""
        until = self.now + self.rng.choice((0.5, 5.0, 40.0))
        match self.rng.randrange(6):
            case 0:
                self.away = until
            case 1:
                self.task = until
            case 2:
                self.filled = until
            case 3:
                self.frozen = until
            case 4:
                # The supervisor, or the whole host: clocks go on, nobody looks or speaks.
                self.now, self.woken, self.slept = until, until, True
            case 5:
                self.leaving = not self.leaving

    def calm(self) -> None:
        """Let all that pass: the rest is the worker's own."""
        self.away = self.task = self.filled = self.frozen = 0.0
        self.leaving = False


def lived(seed: int, troubles: int) -> Life:
    life = Life(random.Random(seed))
    life.booting = life.born + life.rng.uniform(0.1, SPANS.boot_timeout - 5)
    while life.now < life.booting:
        assert life.look() is None
    for _ in range(troubles):
        life.trouble()
        for _ in range(life.rng.choice((1, 7, 60))):
            assert life.look() is None, f"{life}"
    return life


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), troubles=st.integers(0, 25))
def test_whoever_does_what_it_can_is_never_judged(seed: int, troubles: int) -> None:
    """Redis away, long tasks, held GILs, frozen processes and hosts, in any mixture."""
    lived(seed, troubles)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32), troubles=st.integers(0, 10), deaf=st.booleans())
def test_whoever_stands_still_is_judged_when_due_and_not_before(
    seed: int, troubles: int, deaf: bool
) -> None:
    """Within hang_after and a few looks, once nothing excuses it."""
    life = lived(seed, troubles)
    life.calm()
    for _ in range(60):
        assert life.look() is None
    if deaf:
        life.deaf = life.now
    else:
        life.stands = life.now
    began = life.now
    while life.look() is None:
        assert life.now - began <= SPANS.hang_after + SLACK, f"{life}"
    assert life.now - began >= SPANS.hang_after
    assert life.verdict is not None
    assert life.verdict.cause == "hung"
    assert not life.verdict.gentle


def test_a_deaf_worker_whose_jobs_run_may_finish_them() -> None:
    life = lived(1, 0)
    for _ in range(60):
        life.look()
    life.deaf = life.now
    sight = Sight(since=0, beat=0, asked=life.now, busy=1, cells=4, joined=True, leaving=False,
                  frozen=False)  # fmt: skip
    doubt, verdict = Doubt(), None
    for _ in range(60):
        life.look()
        seen = Sight(since=sight.since, beat=life.now, asked=sight.asked, busy=1, cells=4,
                     joined=True, leaving=False, frozen=False)  # fmt: skip
        doubt, verdict = worker(doubt, seen, life.store, SPANS, slept=False, now=life.now)
        if verdict:
            break
    assert verdict is not None
    assert verdict.gentle


def test_a_worker_that_waits_for_redis_from_its_start_on_is_neither_booting_nor_hung() -> None:
    life = Life(random.Random(1), booting=1000.2, away=1200.0)
    while life.now < 1230.0:
        assert life.look() is None


def test_a_worker_that_cannot_join_is_left_to_try() -> None:
    """Its own log says why; another process would not fare better."""
    doubt, store = Doubt(), Store()
    for second in range(1000, 1100):
        now = float(second)
        store = heard_of_store(store, True, now)
        sight = Sight(since=1000, beat=now, asked=0, busy=0, cells=1, joined=False, leaving=False,
                      frozen=False)  # fmt: skip
        doubt, verdict = worker(doubt, sight, store, SPANS, slept=False, now=now)
        assert verdict is None


def test_one_that_never_turns_has_not_booted() -> None:
    life = Life(random.Random(1), booting=NEVER)
    while life.look() is None:
        assert life.now - life.born <= SPANS.boot_timeout + SLACK
    assert life.now - life.born > SPANS.boot_timeout
    assert life.verdict is not None
    assert life.verdict.cause == "boot"


def test_nobody_is_hung_where_that_is_switched_off() -> None:
    life = Life(random.Random(1), stands=1010.0)
    spans = Spans(hang_after=0.0)
    sight = Sight(since=1000, beat=1001, asked=1001, busy=0, cells=1, joined=True, leaving=False,
                  frozen=False)  # fmt: skip
    doubt = Doubt()
    for second in range(1000, 5000):
        store = heard_of_store(life.store, True, second)
        doubt, verdict = worker(doubt, sight, store, spans, slept=False, now=float(second))
        assert verdict is None
    assert keeper(heard(Voice(), 1000.0, 3, 3), store, spans, 5000.0) is None
    assert preloader(Voice(1000.0), 1000.0, spans, 5000.0) is None


@pytest.mark.parametrize("stands", [True, False])
def test_a_keeper_is_judged_by_its_voice_and_by_its_renewals(stands: bool) -> None:
    """One whose renewals stand still is soon judged; one that only fails at them, after a lease."""
    store, voice, now = Store(), Voice(), 1000.0
    for n in range(100):
        now += 0.5
        store = heard_of_store(store, True, now)
        voice = heard(voice, now, turns=n // 4, rounds=n // 4)
        assert keeper(voice, store, SPANS, now) is None
    silent = now + SPANS.silence
    assert keeper(voice, store, SPANS, silent - 0.1) is None
    assert keeper(voice, store, SPANS, silent + 0.1) is not None
    assert keeper(after_sleep(voice, silent + 100), store, SPANS, silent + 100) is None
    found, since = None, now
    while not found:
        now += 0.5
        store = heard_of_store(store, True, now)
        voice = heard(voice, now, turns=24 if stands else round(now), rounds=24)
        found = keeper(voice, store, SPANS, now)
    assert now - since == pytest.approx(SPANS.lease / (2 if stands else 1), abs=2.5)


def test_a_keeper_without_redis_need_not_renew() -> None:
    store, voice, now = Store(), Voice(), 1000.0
    for _ in range(400):
        now += 0.5
        store = heard_of_store(store, False, now)
        voice = heard(voice, now, turns=7, rounds=7)
        assert keeper(voice, store, SPANS, now) is None


@pytest.mark.parametrize("hang_after", [0.0, 9.0, 30.0, 600.0])
def test_a_service_that_is_probed_is_missed_after_five_seconds_and_others_later(
    hang_after: float,
) -> None:
    spans = Spans(hang_after=hang_after)
    voice = heard(Voice(), 1000.0)
    assert service(voice, spans, 1005.0, probed=True) is None
    assert (service(voice, spans, 1005.1, probed=True) is None) is (hang_after == 0.0)
    assert service(after_sleep(voice, 1005.1), spans, 1005.1, probed=True) is None
    late = 1000.0 + spans.silence
    assert service(voice, spans, min(late, 1e9)) is None
    assert (service(voice, spans, late + 0.1) is None) is (hang_after == 0.0)


@pytest.mark.parametrize(("answers", "judged"), [(True, False), (False, True)])
def test_a_preloader_with_orders_open_has_to_answer_one_after_another(
    answers: bool, judged: bool
) -> None:
    now, voice = 1000.0, heard(Voice(), 1000.0)
    ordered_at, found = 1001.0, None
    for _ in range(100):
        now += 1.0
        if answers and now % 4 == 0:
            voice = heard(voice, now)
        found = found or preloader(voice, ordered_at, SPANS, now)
    assert (found is not None) is judged
    assert preloader(voice, NEVER, SPANS, now + 1000) is None


def test_what_does_not_come_up_has_boot_timeout_for_it() -> None:
    assert loading(1000.0, SPANS, 1000.0 + SPANS.boot_timeout) is None
    found = loading(1000.0, SPANS, 1000.1 + SPANS.boot_timeout)
    assert found is not None
    assert found.cause == "boot"
