"""The laws of what holds a queue back, in random worlds with a clock of their own.

Workers claim, end, give back and die; limits change, queues and tasks are paused and resumed, tasks
ask for waits. After each step: no window of any position has seen more claims than the rate limit
that held all through it, unless they were given back unstarted; never more jobs are held than the cap
(a cap that was lowered lets nobody begin); a paused queue gives nothing, a paused task's job is never
given; nothing is lost; what a resumed task had comes back in the order in which it stood.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support import examples

from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.limits import Limits

LEASE = 1_000_000
KEYS = QueueKeys("t", "q")
TASKS = ("a", "b", "c")
RATES = ((1, 500), (3, 1000), (5, 1000), (60, 1000), (4, 2500))
CAPS = (0, 0, 2, 5)
GUARD = 2  # at the least, so that starts obey that come a little after their claims


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A model bound to one server."""

    class Model(RuleBasedStateMachine):
        @initialize(rate=st.sampled_from(RATES), cap=st.sampled_from(CAPS))
        def begin(self, rate: tuple[int, int], cap: int) -> None:
            client.flushall()
            self.now = 1_800_000_000_000
            self.added = 0
            self.task: dict[str, str] = {}
            self.place: dict[str, int] = {}
            self.held: dict[str, tuple[str, int]] = {}
            self.ended: set[str] = set()
            # Since the limit that holds now was set: which may start when, less what was given back.
            self.claims: list[tuple[int, int, str]] = []
            self.limits = Limits(rate_max=rate[0], rate_ms=rate[1], max_active=cap)
            self.paused = False
            self.off: set[str] = set()
            self.not_before = 0
            self.workers = 0
            self.alive: list[str] = []
            self.join()
            self.join()
            self.add(list("abacab") * 6)

        @property
        def store(self) -> Store:
            return Store(client, "t", "q", now=self.now)

        def join(self) -> None:
            self.workers += 1
            self.alive.append(f"w.{self.workers}")
            self.store.join(self.alive[-1], LEASE, limits=self.limits)

        @rule(tasks=st.lists(st.sampled_from(TASKS), min_size=1, max_size=8))
        def add(self, tasks: list[str]) -> None:
            for task in tasks:
                self.added += 1
                job = f"j{self.added:04}"
                self.task[job], self.place[job] = task, self.added
                self.store.add([NewJob(job, task, b"{}")])

        @rule(luck=st.integers(0, 5), rate=st.sampled_from(RATES), cap=st.sampled_from(CAPS))
        def somebody_joins(self, luck: int, rate: tuple[int, int], cap: int) -> None:
            if luck:  # mostly somebody with the same settings
                self.join()
                return
            limits = Limits(rate_max=rate[0], rate_ms=rate[1], max_active=cap)
            if (limits.rate_max, limits.rate_ms) != (self.limits.rate_max, self.limits.rate_ms):
                self.claims = []
            self.limits = limits
            self.join()

        @rule()
        def somebody_joins_without_limits(self) -> None:
            """And after him somebody with them again: what was counted counts."""
            self.store.join("other", LEASE, limits=Limits())
            self.store.release("other")
            self.join()

        @rule(span=st.sampled_from((1, 3, 10, 50, 250, 1000, 1011, 7000)))
        def time_passes(self, span: int) -> None:
            self.now += span

        @rule(
            ends=st.lists(
                st.sampled_from(("end", "end", "end", "back", "hold")), min_size=8, max_size=8
            ),
            pause=st.sampled_from((0, 1, 9, 90, 300, 1100)),
            who=st.integers(0, 9),
            slots=st.sampled_from((1, 1, 1, 3)),
            budget=st.sampled_from((0, 25_000)),
            ahead=st.sampled_from((0, 40, 400)),
        )
        def workers_work(
            self, ends: list[str], pause: int, who: int, slots: int, budget: int, ahead: int
        ) -> None:
            """Claim, run and settle in turns, with a little time between."""
            for turn, end in enumerate(ends):
                name = self.alive[(who + turn) % len(self.alive)]
                self.claim(name, slots=slots, budget_us=budget, ahead_ms=ahead)
                for job in [job for job, by in self.held.items() if by[0] == name]:
                    if end == "end":
                        self.complete(job)
                    elif end == "back":
                        self.hand_back(job)
                self.now += pause

        @rule(who=st.integers(0, 9))
        def looks_for_fast_ones(self, who: int) -> None:
            """As while a batch runs."""
            self.claim(self.alive[who % len(self.alive)], slots=0, budget_us=25_000)

        def claim(self, name: str, slots: int = 1, budget_us: int = 0, ahead_ms: int = 0) -> None:
            seen = self.line()
            found = self.store.claim(
                name, LEASE, slots=slots, budget_us=budget_us, ahead_ms=ahead_ms,
                costs=["a", 100, "b", 100],
            )  # fmt: skip
            got = [job.id.decode() for job in found.jobs]
            if self.paused:
                assert (got, found.word) == ([], "paused")
            if self.now < self.not_before:
                assert got == []
                assert found.word in ("paused", "throttled")
            assert not {self.task[job] for job in got} & self.off
            assert got == seen[: len(got)]
            cap = self.limits.max_active
            assert not got or not cap or len(self.held) + len(got) <= cap
            assert found.within_ms is not None
            assert 0 <= found.wait_ms <= ahead_ms
            for job in got:
                self.held[job] = (name, found.number)
                self.claims.append((self.now + found.wait_ms, found.number, job))
            if found.word == "limited" and slots:
                assert found.again_at is not None
                assert self.now < found.again_at <= self.now + self.limits.rate_ms * 1.02 + 450
            if slots and not got and seen and not found.word:
                # Nothing but a look that was bounded may come back empty, and then somebody is told.
                assert client.llen(KEYS.wake_list)

        def line(self) -> list[str]:
            """What may be given now, in order."""
            free = (
                job
                for job in self.task
                if job not in self.held and job not in self.ended and self.task[job] not in self.off
            )
            return sorted(free, key=self.place.__getitem__)

        def complete(self, job: str) -> None:
            name, number = self.held.pop(job)
            done = [Completed(job.encode(), number, f"{self.task[job]}|0|0|0", b"")]
            assert self.store.settle(name, LEASE, completed=done) == []
            self.ended.add(job)

        def hand_back(self, job: str) -> None:
            name, number = self.held.pop(job)
            for _ in range(2):
                self.store.hand_back(name, [(job.encode(), number)])
            if (each := next((c for c in self.claims if c[1:] == (number, job)), None)) is not None:
                self.claims.remove(each)

        @rule()
        def all_that_runs_ends(self) -> None:
            for job in sorted(self.held):
                self.complete(job)

        @precondition(lambda self: self.held)
        @rule(data=st.data(), span=st.sampled_from((100, 2000)), at_the_edge=st.booleans())
        def throttle(self, data: st.DataObject, span: int, at_the_edge: bool) -> None:
            job = data.draw(st.sampled_from(sorted(self.held)))
            name, number = self.held.pop(job)
            figures = f"{self.task[job]}|0|0|0"
            end = Ending("throttle", job.encode(), number, figures, span, "throttled")
            assert self.store.settle(name, LEASE, endings=[end]) == []
            self.not_before = max(self.not_before, self.now + span)
            # A repeat, or anybody late, moves nothing.
            late = Ending("throttle", job.encode(), number, figures, 9 * span, "throttled")
            assert self.store.settle(name, LEASE, endings=[late]) == [job.encode()]
            if at_the_edge:
                self.now = self.not_before - 1
                self.claim(self.alive[0])
                self.now += 1
                self.claim(self.alive[0])

        @precondition(lambda self: len(self.alive) > 1)
        @rule(data=st.data())
        def a_worker_dies(self, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(self.alive))
            self.alive.remove(name)
            self.store.release(name)
            self.held = {job: by for job, by in self.held.items() if by[0] != name}

        @rule(again=st.booleans())
        def pause(self, again: bool) -> None:
            """For a while; and a wait that somebody asked for ends with it."""
            assert self.store.pause() == "paused"
            self.paused = True
            self.claim(self.alive[0])
            self.now += 10
            self.claim(self.alive[-1], slots=3, ahead_ms=400)
            if again:
                assert self.store.pause() == "already"
            assert self.store.resume() == "resumed"
            self.paused, self.not_before = False, 0
            self.claim(self.alive[0])

        @rule()
        def resume(self) -> None:
            waits = "not_before" in self.meta()
            assert self.store.resume() == ("resumed" if waits else "running")
            self.not_before = 0

        def meta(self) -> set[str]:
            return {name.decode() for name in client.hkeys(KEYS.meta)}

        @rule(task=st.sampled_from(TASKS))
        def pause_task(self, task: str) -> None:
            assert self.store.pause(task) == ("already" if task in self.off else "paused")
            self.off.add(task)

        @rule(task=st.sampled_from(TASKS))
        def resume_task(self, task: str) -> None:
            assert self.store.resume(task) == ("resumed" if task in self.off else "running")
            self.off.discard(task)

        @invariant()
        def no_window_holds_more_than_the_limit(self) -> None:
            most, span = self.limits.rate_max, self.limits.rate_ms
            times = sorted(at for at, _, _ in self.claims)
            for first, later in zip(times, times[most:], strict=False):
                assert later - first >= span + GUARD

        @invariant()
        def every_job_is_in_one_place_and_aside_only_while_its_task_is_paused(self) -> None:
            found: Counter[str] = Counter()
            for container in ("waiting", "delayed", "completed"):
                found.update(raw.decode() for raw in client.zrange(getattr(KEYS, container), 0, -1))
            holders = client.keys("t:{q}:held:*")
            active = [raw.decode() for key in holders for raw in client.hkeys(key)]
            found.update(active)
            assert found == Counter(list(self.task))
            assert set(active) == set(self.held)
            aside = {raw.decode() for raw in client.zrange(KEYS.delayed, 0, -1)}
            assert {self.task[job] for job in aside} <= self.off
            assert ("off" in self.meta()) == bool(self.off)

    return Model


def worlds(number: int) -> settings:
    return settings(
        max_examples=examples.worlds(number),
        stateful_step_count=50,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_limits_and_pauses_hold_in_every_world(redis_url: str) -> None:
    """Random worlds, each of fifty steps."""
    client = connect(redis_url)
    run_state_machine_as_test(machine(client), settings=worlds(60))
    client.close()
