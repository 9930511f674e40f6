"""The law worth all others: whatever happens in whatever order, a small model agrees with Redis.

Random worlds of adding, claiming, settling, dying, reaping and repeating run against a real server.
After each step every job must be in exactly one container, the one the model says; what a stale
claim tries must change nothing; and each script repeated with its old arguments must change nothing.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from support.examples import worlds
from support.policies import keeping

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.errors import Fenced
from jobd.core.retention import OUTCOMES
from jobd.core.states import STATES

LEASE = 10_000
FIGURES = "noop|0|0|0"
WINDOW = 30_000
KEYS = QueueKeys("t", "q")
# How a run may end otherwise: the script's word, delay and cause, and where the job is then.
FAILURES = {
    "retry": ("retry", 700, "failed", "delayed"),
    "again": ("retry", 0, "failed", "waiting"),
    "snooze": ("retry", 1000, "snoozed", "delayed"),
    "dead": ("dead", 0, "failed", "dead"),
    "discard": ("dead", 0, "discarded", "dead"),
    "cancelled": ("cancelled", 0, "cancelled", "cancelled"),
}
CONTAINERS = ("waiting", "delayed", "completed", "dead", "cancelled")


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A model bound to one server."""

    class Model(RuleBasedStateMachine):
        ids = Bundle("ids")

        @initialize()
        def begin(self) -> None:
            client.flushall()
            self.now = 1_800_000_000_000
            self.state: dict[str, str] = {}
            self.place: dict[str, tuple[int, int]] = {}
            self.due: dict[str, int] = {}
            self.owner: dict[str, tuple[str, int]] = {}
            self.leases: dict[str, int] = {}
            self.past: list[tuple[str, str, int]] = []
            self.counted: dict[str, int] = {}
            self.last_claim = 0
            self.seq = 0
            self.workers = 0
            self.asked: set[str] = set()
            self.orders: dict[str, tuple[str, int, str]] = {}
            self.deleted: dict[str, int] = {}
            self.ended: dict[str, int] = {}

        @property
        def store(self) -> Store:
            return Store(client, "t", "q", now=self.now)

        def dump(self) -> dict[bytes, object]:
            """Read everything. The order of a hash's fields, or of a set's members, has no meaning."""
            read = {b"hash": client.hgetall, b"set": client.smembers}
            keys = sorted(client.keys("*"))
            return {key: read.get(client.type(key), client.dump)(key) for key in keys}

        @rule(
            target=ids,
            number=st.integers(0, 30),
            priority=st.integers(3, 6),
            delay=st.sampled_from([0, 0, 500, 5000]),
        )
        def add(self, number: int, priority: int, delay: int) -> str:
            job_id = f"j{number}"
            job = NewJob(job_id, "noop", b"{}", priority, f"+{delay}" if delay else "")
            [added] = self.store.add([job])
            assert added == (job_id not in self.state and not self.is_remembered(job_id))
            if added and delay:
                self.state[job_id], self.due[job_id] = "delayed", self.now + delay
                self.place[job_id] = (priority, 0)
            elif added:
                self.seq += 1
                self.state[job_id], self.place[job_id] = "waiting", (priority, self.seq)
            before = self.dump()
            assert self.store.add([job]) == [False]
            assert before == self.dump()
            return job_id

        def is_remembered(self, job_id: str) -> bool:
            return self.now // WINDOW - self.deleted.get(job_id, -3 * WINDOW) // WINDOW <= 2

        @rule()
        def join(self) -> None:
            self.workers += 1
            name = f"w.{self.workers}"
            self.store.join(name, LEASE)
            self.leases[name] = self.now + LEASE

        @rule(span=st.sampled_from([1, 400, 3000, LEASE]))
        def time_passes(self, span: int) -> None:
            self.now += span

        def promoted(self) -> None:
            ready = sorted((due, i) for i, due in self.due.items() if due <= self.now)
            for _, job_id in ready:
                self.seq += 1
                del self.due[job_id]
                self.state[job_id] = "waiting"
                self.place[job_id] = (self.place[job_id][0], self.seq)

        @precondition(lambda self: self.leases)
        @rule(data=st.data(), budget=st.sampled_from([0, 100, 50_000]))
        def claim(self, data: st.DataObject, budget: int) -> None:
            name = data.draw(st.sampled_from(sorted(self.leases)))
            claim = self.store.claim(name, LEASE, budget_us=budget, costs=["noop", 30])
            self.promoted()
            if self.leases[name] < self.now + LEASE / 2:
                self.leases[name] = self.now + LEASE
            line = sorted((self.place[i], i) for i, s in self.state.items() if s == "waiting")
            got = [job.id.decode() for job in claim.jobs]
            assert got == [i for _, i in line][: len(got)]
            assert bool(got) == bool(line)
            if got:
                assert claim.number > self.last_claim
                self.last_claim = claim.number
            for job_id in got:
                self.state[job_id] = "active"
                self.owner[job_id] = (name, claim.number)

        def draw_active(self, data: st.DataObject) -> tuple[str, str, int]:
            job_id = data.draw(st.sampled_from(sorted(self.owner)))
            return (job_id, *self.owner[job_id])

        def back(self, job_id: str) -> None:
            """Go back in line, or end, where somebody cancelled the job while it ran."""
            if job_id in self.asked:
                self.counted["cancelled"] = self.counted.get("cancelled", 0) + 1
            self.leave(job_id, "cancelled" if job_id in self.asked else "waiting")

        def leave(self, job_id: str, state: str) -> None:
            self.past.append((job_id, *self.owner.pop(job_id)))
            self.state[job_id], self.ended[job_id] = state, self.now

        @precondition(lambda self: self.owner)
        @rule(data=st.data())
        def complete(self, data: st.DataObject) -> None:
            job_id, name, number = self.draw_active(data)
            done = [Completed(job_id.encode(), number, FIGURES, b"1")]
            assert self.store.settle(name, LEASE, completed=done, keep=1000) == []
            self.renewed(name)
            self.leave(job_id, "completed")
            self.counted["completed"] = self.counted.get("completed", 0) + 1
            before = self.dump()
            assert [job_id.encode()] == self.store.settle(name, LEASE, completed=done, keep=1000)
            assert before == self.dump()

        @precondition(lambda self: self.owner)
        @rule(data=st.data(), verb=st.sampled_from(sorted(FAILURES)))
        def fail(self, data: st.DataObject, verb: str) -> None:
            job_id, name, number = self.draw_active(data)
            word, delay, cause, state = FAILURES[verb]
            fields: dict[str, str | bytes | int] = {"snoozed" if verb == "snooze" else "failed": 1}
            ends = [Ending(word, job_id.encode(), number, FIGURES, delay, cause, fields)]
            assert self.store.settle(name, LEASE, endings=ends) == []
            self.renewed(name)
            if state in ("waiting", "delayed") and job_id in self.asked:
                state = verb = "cancelled"
            self.leave(job_id, state)
            outcome = state if state in ("dead", "cancelled") else cause
            self.counted[outcome] = self.counted.get(outcome, 0) + 1
            if state == "dead":
                assert client.hget(KEYS.job(job_id), "cause") == cause.encode()
            if state == "delayed":
                self.due[job_id] = self.now + delay
            if verb == "again":
                self.seq += 1
                self.place[job_id] = (self.place[job_id][0], self.seq)
            before = self.dump()
            assert [job_id.encode()] == self.store.settle(name, LEASE, endings=ends)
            assert before == self.dump()

        def renewed(self, name: str) -> None:
            if self.leases[name] < self.now + LEASE / 2:
                self.leases[name] = self.now + LEASE

        @precondition(lambda self: self.owner)
        @rule(data=st.data())
        def hand_back(self, data: st.DataObject) -> None:
            job_id, name, number = self.draw_active(data)
            assert [job_id.encode()] == self.store.hand_back(name, [(job_id.encode(), number)])
            self.back(job_id)

        @precondition(lambda self: self.leases)
        @rule(data=st.data())
        def release(self, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(sorted(self.leases)))
            held = [i for i, (owner, _) in self.owner.items() if owner == name]
            blamed = [Blame(i, "crashes") for i in held[:1]]
            self.store.release(name, blamed)
            for job_id in held:
                self.back(job_id)
            del self.leases[name]
            before = self.dump()
            self.store.release(name, blamed)
            assert before == self.dump()
            with pytest.raises(Fenced):
                self.store.claim(name, LEASE)

        @precondition(lambda self: self.leases)
        @rule(data=st.data())
        def reap(self, data: st.DataObject) -> None:
            name = data.draw(st.sampled_from(sorted(self.leases)))
            seen = self.store.open_leases()[name]
            assert int(seen) == self.leases[name]
            reaped = self.store.reap(name, seen)
            assert reaped == (self.leases[name] <= self.now)
            if reaped:
                for job_id in [i for i, (owner, _) in self.owner.items() if owner == name]:
                    self.back(job_id)
                del self.leases[name]

        @rule(job_id=ids, force=st.booleans())
        def cancel(self, job_id: str, force: bool) -> None:
            state = self.state.get(job_id, "gone")
            word = {"active": "asked", "waiting": "cancelled", "delayed": "cancelled"}
            assert self.store.cancel([job_id], force=force) == [word.get(state, state)]
            if state in ("waiting", "delayed"):
                self.state[job_id], self.ended[job_id] = "cancelled", self.now
                self.counted["cancelled"] = self.counted.get("cancelled", 0) + 1
                self.due.pop(job_id, None)
            if state == "active":
                self.asked.add(job_id)
                name, number = self.owner[job_id]
                self.orders[job_id] = ("kill" if force else "cancel", number, name)
            before = self.dump()
            assert self.store.cancel([job_id], force=force) == [word.get(state, state)]
            assert before == self.dump()

        @rule()
        def heed(self) -> None:
            self.orders = {
                i: order
                for i, order in self.orders.items()
                if self.owner.get(i) == (order[2], order[1])
            }
            for _ in range(2):
                found = self.store.heed()
                assert self.orders == {o.job_id: (o.word, o.claim, o.incarnation) for o in found}
                assert client.hlen(KEYS.orders) == len(found)

        @rule(job_id=ids, delay=st.sampled_from([0, 500, 5000]))
        def reschedule(self, job_id: str, delay: int) -> None:
            state = self.state.get(job_id, "gone")
            if state in ("waiting", "delayed") and delay:
                state, self.due[job_id] = "delayed", self.now + delay
            elif state == "delayed":
                self.seq += 1
                state = "waiting"
                self.place[job_id] = (self.place[job_id][0], self.seq)
                del self.due[job_id]
            assert self.store.reschedule([job_id], f"+{delay}" if delay else "") == [state]
            if state != "gone":
                self.state[job_id] = state
            before = self.dump()
            assert self.store.reschedule([job_id], f"+{delay}" if delay else "") == [state]
            assert {k: v for k, v in before.items() if k != KEYS.wake_list.encode()} == {
                k: v for k, v in self.dump().items() if k != KEYS.wake_list.encode()
            }

        @rule(job_id=ids)
        def retry(self, job_id: str) -> None:
            state = self.state.get(job_id, "gone")
            ended = state in ("dead", "cancelled")
            assert self.store.retry([job_id]) == ["retried" if ended else state]
            if ended:
                self.seq += 1
                self.state[job_id] = "waiting"
                self.place[job_id] = (self.place[job_id][0], self.seq)
                self.asked.discard(job_id)
            before = self.dump()
            assert self.store.retry([job_id]) == [self.state.get(job_id, "gone")]
            assert before == self.dump()

        @rule(job_id=ids)
        def delete(self, job_id: str) -> None:
            state = self.state.get(job_id, "gone")
            ended = state in ("completed", "dead", "cancelled")
            assert self.store.delete([job_id]) == ["deleted" if ended else state]
            if ended:
                del self.state[job_id], self.place[job_id]
                self.deleted[job_id] = self.now
                self.asked.discard(job_id)
            before = self.dump()
            assert self.store.delete([job_id]) == [self.state.get(job_id, "gone")]
            assert before == self.dump()

        @rule(job_id=ids, state=st.sampled_from([s for s in STATES if s != "active"]))
        def purge(self, job_id: str, state: str) -> None:
            """Only what is in the state that was named; what never ran counts as cancelled."""
            is_in = self.state.get(job_id, "gone")
            assert self.store.purge(state, [job_id]) == ["purged" if is_in == state else is_in]
            if is_in == state:
                if state in ("waiting", "delayed"):
                    self.counted["cancelled"] = self.counted.get("cancelled", 0) + 1
                del self.state[job_id], self.place[job_id]
                self.due.pop(job_id, None)
                self.deleted[job_id] = self.now
                self.asked.discard(job_id)
            before = self.dump()
            assert self.store.purge(state, [job_id]) == [self.state.get(job_id, "gone")]
            assert before == self.dump()

        @rule(
            outcome=st.sampled_from(OUTCOMES),
            age=st.sampled_from([0, 500, 4000]),
            limit=st.sampled_from([1, 3, 1000]),
        )
        def trim(self, outcome: str, age: int, limit: int) -> None:
            """Of one outcome by its age; of the others nothing, whatever they were before."""
            rules = keeping(
                **{outcome: {"age": age / 1000}},
                **{other: {"age": "9d"} for other in OUTCOMES if other != outcome},
            )
            due = {
                i for i, s in self.state.items() if s == outcome and self.ended[i] <= self.now - age
            }
            removed, more, _ = self.store.trim(rules, limit=limit)
            gone = {i for i in due if not client.exists(KEYS.job(i))}
            assert removed == len(gone) == min(limit, len(due))
            assert more == (len(due) >= limit)
            for job_id in gone:
                del self.state[job_id], self.place[job_id]
                self.asked.discard(job_id)
                if self.ended[job_id] > self.now - 2 * WINDOW:
                    self.deleted[job_id] = self.now

        @precondition(lambda self: self.past)
        @rule(data=st.data(), verb=st.sampled_from(["done", "retry", "dead", "back", "look"]))
        def a_stale_worker_tries(self, data: st.DataObject, verb: str) -> None:
            job_id, name, number = data.draw(st.sampled_from(self.past))
            before = self.dump()
            raw = job_id.encode()
            try:
                if verb == "back":
                    assert self.store.hand_back(name, [(raw, number)]) == []
                elif verb == "look":
                    self.store.reconcile(name, [(raw, number)])
                else:
                    ends = [Ending(verb, raw, number, FIGURES, 0, "failed", {"error": "late"})]
                    assert [raw] == self.store.settle(name, LEASE, endings=ends)
            except Fenced:
                assert name not in self.leases
            after = self.dump()
            if name in self.leases:  # a living worker's late settle may renew its lease, only that
                before.pop(KEYS.leases.encode(), None)
                after.pop(KEYS.leases.encode(), None)
                if verb not in ("back", "look"):
                    self.renewed(name)
            assert before == after

        @invariant()
        def every_job_is_where_the_model_says_and_nowhere_else(self) -> None:
            found: dict[str, list[str]] = {}
            for container in CONTAINERS:
                for raw in client.zrange(getattr(KEYS, container), 0, -1):
                    found.setdefault(raw.decode(), []).append(container)
            for key in client.keys("t:{q}:held:*"):
                for raw in client.hkeys(key):
                    found.setdefault(raw.decode(), []).append("active")
            assert {i: [s] for i, s in self.state.items()} == found
            records = {k.decode().removeprefix(KEYS.job_prefix) for k in client.keys("t:{q}:job:*")}
            assert set(self.state) == records

        @invariant()
        def each_death_is_told_once(self) -> None:
            assert client.xlen(KEYS.outbox) == self.counted.get("dead", 0)

        @invariant()
        def the_tallies_add_up(self) -> None:
            for outcome in ("completed", "failed", "snoozed", "dead", "cancelled"):
                counted = client.hget(KEYS.tally, f"{outcome}|noop")
                assert self.counted.get(outcome, 0) == int(counted or 0)

    return Model


def test_redis_agrees_with_the_model_in_every_world(redis_url: str) -> None:
    """Random worlds, each a hundred steps."""
    client = connect(redis_url)
    run_state_machine_as_test(
        machine(client),
        settings=settings(
            max_examples=worlds(40),
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()
