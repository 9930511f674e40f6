"""The laws of locks: one holder at a time, let go of with its job, by whatever way the job ends.

Random worlds against a real server: jobs with and without locks are added, claimed, settled, retried,
handed back, lost with their workers, cancelled, deleted, and every call is repeated. A small model
says who holds what; Redis must agree after each step.
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
from support.policies import NOTHING

from jobd.broker.commands import Blame, Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.store import Store
from jobd.core.errors import Fenced

LEASE = 10_000
FIGURES = "noop|0|0|0"
WINDOW = 30_000
REMEMBERED = 60_000
TTL = 5_000
KEYS = QueueKeys("t", "q")
ENDED = ("completed", "dead", "cancelled")
LOCKS = ["", *(f"{how} {key}" for key in ("aa", "bb") for how in (
    "finished", "started", "finished", "finished replace", "started replace", f"ttl {TTL}"
))]  # fmt: skip
# How a run may end: the script's word and delay, and where the job is then.
VERBS = {
    "done": ("done", 0, "completed"),
    "dead": ("dead", 0, "dead"),
    "cancelled": ("cancelled", 0, "cancelled"),
    "retry": ("retry", 700, "delayed"),
    "again": ("retry", 0, "waiting"),
}
Call = tuple[NewJob, Terms]


def lock_of(text: str) -> str:
    """Spell 'until [rest] digest' as the script reads it: until, digest, rest."""
    until, *rest = text.split()
    return " ".join((until, rest[-1], *rest[:-1]))


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A model bound to one server."""

    class Model(RuleBasedStateMachine):
        ids = Bundle("ids")

        @initialize()
        def begin(self) -> None:
            client.flushall()
            self.now = 1_800_000_000_000
            self.state: dict[str, str] = {}
            self.lock: dict[str, tuple[str, str]] = {}  # id -> until, digest
            self.holder: dict[str, tuple[str, int]] = {}  # digest -> id, until when a ttl holds
            self.nonce: dict[str, str] = {}
            self.begun: dict[tuple[str, str], int] = {}
            self.owner: dict[str, tuple[str, int]] = {}
            self.past: list[tuple[str, str, int]] = []
            self.gone: dict[str, int] = {}
            self.ended: dict[str, int] = {}
            self.replaced: dict[str, int] = {}
            self.asked: set[str] = set()
            self.calls: list[Call] = []
            self.leases: list[str] = []
            self.workers = 0
            self.join()

        @property
        def store(self) -> Store:
            return Store(client, "t", "q", now=self.now)

        def dump(self) -> dict[bytes, object]:
            """Read everything; the order of a hash's fields, or of a set's members, has no meaning."""
            read = {b"hash": client.hgetall, b"set": client.smembers}
            keys = sorted(client.keys("*"))
            return {key: read.get(client.type(key), client.dump)(key) for key in keys}

        # --- what the model says ---

        def holds(self, digest: str) -> str | None:
            job_id, ends = self.holder.get(digest, ("", 0))
            state, (until, of) = self.state.get(job_id), self.lock.get(job_id, ("", ""))
            if ends:
                return job_id if self.now < ends else None
            if of == digest and state in ("waiting", "delayed"):
                return job_id
            return job_id if of == digest and state == "active" and until == "finished" else None

        def is_near(self, then: int | None) -> bool:
            return then is not None and self.now // WINDOW - then // WINDOW <= 2

        def foretold(self, job: NewJob, terms: Terms) -> str:
            """Say what adding answers."""
            state = self.state.get(job.id)
            if state or self.is_near(self.gone.get(job.id)):
                if not terms.nonce or self.is_near(self.begun.get((job.id, terms.nonce))):
                    return "duplicate"
                if state and (state not in ENDED or self.nonce.get(job.id) == terms.nonce):
                    return "duplicate"
            _, digest, rest = (*terms.lock.split(), "", "", "")[:3]
            if (held := self.holds(digest)) is not None:
                away = self.state.get(held) in ("waiting", "delayed")
                return "replaced" if rest == "replace" and away else f"held {held}"
            return "replaced" if state else "added"

        def added(self, job: NewJob, terms: Terms) -> None:
            until, digest, _ = (*terms.lock.split(), "", "", "")[:3]
            if (held := self.holds(digest)) is not None:
                self.end(held, "cancelled")
                self.replaced[held] = self.now
            self.state[job.id] = "delayed" if job.due else "waiting"
            self.lock.pop(job.id, None)
            self.nonce.pop(job.id, None)
            self.replaced.pop(job.id, None)
            self.asked.discard(job.id)
            if digest:
                self.lock[job.id] = (until, digest)
                self.holder[digest] = (job.id, self.now + TTL if until == "ttl" else 0)
            if terms.nonce:
                self.nonce[job.id] = terms.nonce
                self.begun[job.id, terms.nonce] = self.now

        def end(self, job_id: str, state: str) -> None:
            """End a job; its lock goes with it, save a ttl's of a job that has completed."""
            self.state[job_id], self.ended[job_id] = state, self.now
            until, digest = self.lock.get(job_id, ("", ""))
            if self.holder.get(digest, ("", 0))[0] == job_id and (until, state) != (
                "ttl",
                "completed",
            ):
                del self.holder[digest]

        def leave(self, job_id: str, state: str) -> None:
            """Leave a worker's hands; what was cancelled while it ran runs no more."""
            self.past.append((job_id, *self.owner.pop(job_id)))
            if state in ("waiting", "delayed") and job_id in self.asked:
                state = "cancelled"
            if state in ENDED:
                self.end(job_id, state)
                return
            self.state[job_id] = state
            until, digest = self.lock.get(job_id, ("ttl", ""))
            if until != "ttl" and self.holds(digest) is None:
                self.holder[digest] = (job_id, 0)

        # --- what happens ---

        def try_to_add(self, job: NewJob, terms: Terms) -> str:
            word = self.foretold(job, terms)
            asked = [JobOnTerms.of(job, terms)]
            assert [word.encode()] == self.store.add_once(asked)
            if word in ("added", "replaced"):
                self.added(job, terms)
            before = self.dump()
            again = word if word.startswith("held") else "duplicate"
            assert [again.encode()] == self.store.add_once(asked)
            assert before == self.dump()
            return word

        @rule(
            target=ids, number=st.integers(0, 9), lock=st.sampled_from(LOCKS),
            delay=st.sampled_from([0, 0, 700]), again=st.booleans(),
        )  # fmt: skip
        def add(self, number: int, lock: str, delay: int, again: bool) -> str:
            job = NewJob(f"j{number}", "noop", b"{}", due=f"+{delay}" if delay else "")
            nonce = f"n{len(self.calls)}" if again else ""
            call = (job, Terms(nonce, lock_of(lock) if lock else ""))
            self.calls.append(call)
            self.try_to_add(*call)
            return job.id

        @precondition(lambda self: self.calls)
        @rule(data=st.data())
        def a_producer_repeats_what_it_said_long_ago(self, data: st.DataObject) -> None:
            self.try_to_add(*data.draw(st.sampled_from(self.calls)))

        @precondition(lambda self: "delayed" in self.state.values() or self.holder)
        @rule(span=st.sampled_from([700, TTL]))
        def time_passes(self, span: int) -> None:
            self.now += span

        @precondition(lambda self: len(self.leases) < 2)
        @rule()
        def join(self) -> None:
            self.workers += 1
            self.leases.append(f"w.{self.workers}")
            self.store.join(self.leases[-1], LEASE)

        @precondition(lambda self: self.leases and {"waiting", "delayed"} & {*self.state.values()})
        @rule(
            data=st.data(),
            verbs=st.lists(st.sampled_from([*VERBS, "", ""]), min_size=2, max_size=6),
        )
        def work(self, data: st.DataObject, verbs: list[str]) -> None:
            """Claim one job after another; each run ends so or so, or goes on."""
            name = data.draw(st.sampled_from(self.leases))
            for verb in verbs:
                claim = self.store.claim(name, LEASE)
                self.see_what_was_promoted()
                for job in claim.jobs:
                    self.state[job.id.decode()] = "active"
                    self.owner[job.id.decode()] = (name, claim.number)
                    if verb:
                        self.end_run(job.id.decode(), verb)

        def see_what_was_promoted(self) -> None:
            for job_id, state in self.state.items():
                if state == "delayed" and client.zscore(KEYS.waiting, job_id) is not None:
                    self.state[job_id] = "waiting"

        @precondition(lambda self: self.owner)
        @rule(data=st.data(), verb=st.sampled_from(sorted(VERBS)))
        def settle(self, data: st.DataObject, verb: str) -> None:
            self.end_run(data.draw(st.sampled_from(sorted(self.owner))), verb)

        def end_run(self, job_id: str, verb: str) -> None:
            name, number = self.owner[job_id]
            word, delay, state = VERBS[verb]
            ends = [Ending(word, job_id.encode(), number, FIGURES, delay, "failed", {"failed": 1})]
            assert self.store.settle(name, LEASE, endings=ends) == []
            self.leave(job_id, state)

        @precondition(lambda self: self.owner)
        @rule(data=st.data())
        def hand_back(self, data: st.DataObject) -> None:
            job_id = data.draw(st.sampled_from(sorted(self.owner)))
            name, number = self.owner[job_id]
            assert [job_id.encode()] == self.store.hand_back(name, [(job_id.encode(), number)])
            self.leave(job_id, "waiting")

        @precondition(lambda self: self.leases)
        @rule(data=st.data(), how=st.sampled_from(["release", "reap"]))
        def a_worker_dies(self, data: st.DataObject, how: str) -> None:
            name = data.draw(st.sampled_from(self.leases))
            self.leases.remove(name)
            held = [i for i, (owner, _) in self.owner.items() if owner == name]
            if how == "release":
                self.store.release(name, [Blame(i, "crashes", b'{"kind":"crash"}') for i in held])
            else:
                seen = self.store.open_leases()[name]
                self.now += 2 * LEASE
                assert self.store.reap(name, seen)
            for job_id in held:
                self.leave(job_id, "waiting")

        @rule(job_id=ids)
        def cancel(self, job_id: str) -> None:
            [word] = self.store.cancel([job_id])
            if self.state.get(job_id) in ("waiting", "delayed"):
                self.end(job_id, "cancelled")
            elif self.state.get(job_id) == "active":
                self.asked.add(job_id)
            assert word == (
                "asked" if self.state.get(job_id) == "active" else self.state.get(job_id, "gone")
            )

        @rule(job_id=ids, delay=st.sampled_from(["", "+700"]))
        def reschedule(self, job_id: str, delay: str) -> None:
            [self.state[job_id]] = self.store.reschedule([job_id], delay)
            if self.state[job_id] == "gone":
                del self.state[job_id]

        @rule(some=st.lists(ids, min_size=1, max_size=3, unique=True))
        def retry(self, some: list[str]) -> None:
            words = []
            for job_id in some:
                state = self.state.get(job_id, "gone")
                until, digest = self.lock.get(job_id, ("ttl", ""))
                if state not in ("dead", "cancelled"):
                    words.append(state)
                elif until != "ttl" and self.holds(digest) is not None:
                    words.append("duplicate")
                else:
                    words.append("retried")
                    self.replaced.pop(job_id, None)
                    self.state[job_id] = "waiting"
                    self.asked.discard(job_id)
                    if until != "ttl":
                        self.holder[digest] = (job_id, 0)
            assert words == self.store.retry(some)

        @rule(job_id=ids, verb=st.sampled_from(["delete", "purge"]))
        def delete(self, job_id: str, verb: str) -> None:
            if verb == "purge":
                [word] = self.store.purge(self.state.get(job_id, "waiting"), [job_id])
                if self.state.get(job_id) in ("waiting", "delayed"):
                    self.end(job_id, "cancelled")
            else:
                [word] = self.store.delete([job_id])
            if self.state.get(job_id) in ENDED:
                digest = self.lock.get(job_id, ("", ""))[1]
                if self.holder.get(digest, ("", 0))[0] == job_id:
                    del self.holder[digest]
                self.forget(job_id)
                assert word == f"{verb}d"

        def forget(self, job_id: str, *, known: bool = True) -> None:
            del self.state[job_id]
            self.lock.pop(job_id, None)
            self.nonce.pop(job_id, None)
            self.asked.discard(job_id)
            self.replaced.pop(job_id, None)
            if known:
                self.gone[job_id] = self.now

        @rule()
        def retention_comes_by(self) -> None:
            self.now += 1  # what ends from now on stands behind what is spared here
            self.store.trim(NOTHING)
            kept = {i for i, at in self.replaced.items() if self.now < at + 600_000}
            for job_id in [i for i, s in self.state.items() if s in ENDED and i not in kept]:
                self.forget(job_id, known=self.now - self.ended[job_id] < REMEMBERED)

        @precondition(lambda self: self.past)
        @rule(data=st.data(), verb=st.sampled_from(["done", "dead", "plain"]))
        def a_stale_worker_tries(self, data: st.DataObject, verb: str) -> None:
            job_id, name, number = data.draw(st.sampled_from(self.past))
            ends = [Ending(verb, job_id.encode(), number, FIGURES, 0, "failed", {"error": "late"})]
            done = [Completed(job_id.encode(), number, FIGURES, b"")]
            before = self.dump()
            try:
                if verb == "plain":
                    assert [job_id.encode()] == self.store.settle(name, LEASE, completed=done)
                else:
                    assert [job_id.encode()] == self.store.settle(name, LEASE, endings=ends)
            except Fenced:
                assert name not in self.leases
            after = self.dump()
            before.pop(KEYS.leases.encode(), None)
            after.pop(KEYS.leases.encode(), None)
            assert before == after

        # --- the laws ---

        @invariant()
        def redis_agrees(self) -> None:
            containers = ("waiting", "delayed", *ENDED)
            found = {
                i.decode(): c for c in containers for i in client.zrange(getattr(KEYS, c), 0, -1)
            }
            found |= {
                i.decode(): "active" for k in client.keys("t:{q}:held:*") for i in client.hkeys(k)
            }
            assert self.state == found

        @invariant()
        def an_age_of_its_own_is_of_a_job_that_has_ended(self) -> None:
            assert {i.decode() for i in client.zrange(KEYS.expiring, 0, -1)} == set(self.replaced)

        @invariant()
        def one_live_job_a_lock_that_holds_until_its_end(self) -> None:
            live = [i for i, state in self.state.items() if state not in ENDED]
            digests = [self.lock[i][1] for i in live if self.lock.get(i, ("",))[0] == "finished"]
            assert len(digests) == len(set(digests))

        @invariant()
        def every_key_names_its_holder_and_goes_with_it(self) -> None:
            keys = {
                k.decode().removeprefix(KEYS.unique_prefix) for k in client.keys("t:{q}:unique:*")
            }
            assert set(self.holder) == keys
            for digest, (job_id, ends) in self.holder.items():
                said = client.get(KEYS.unique_prefix + digest).decode()
                assert said == (f"{job_id} {ends}" if ends else job_id)
                assert ends or self.state.get(job_id) not in (*ENDED, None)

        def teardown(self) -> None:
            """Nothing is stuck after a drain: every lock can be had."""
            if not hasattr(self, "state"):
                return
            for name in self.leases:
                self.store.release(name)
            live = [i for i, state in self.state.items() if state not in ENDED]
            self.store.cancel(live) if live else None
            self.now += TTL
            for digest in ("aa", "bb"):
                job, terms = (
                    NewJob(f"last-{digest}", "noop", b"{}"),
                    Terms(lock=f"finished {digest}"),
                )
                assert self.store.add_once([JobOnTerms.of(job, terms)]) == [b"added"]

    return Model


@pytest.mark.timeout(240)
def test_redis_agrees_about_locks_in_every_world(redis_url: str) -> None:
    """Random worlds, each fifty steps."""
    client = connect(redis_url)
    run_state_machine_as_test(
        machine(client),
        settings=settings(
            max_examples=worlds(80),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()
