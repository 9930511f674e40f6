"""The laws of retention: no record goes before its time, and none stays after it.

Random worlds against a real server: jobs end with an age of their own or without, over the number that
the queue keeps or not; they are begun anew, added anew, retried, replaced, deleted. A small model says
until when each record may stay; `expiring` holds just those that have ended and asked for an age.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from support.examples import worlds
from support.policies import keeping

from jobd.broker.commands import Completed, Ending
from jobd.broker.connection import Client, connect
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.store import Store
from jobd.core.retention import OUTCOMES

LEASE = 10**9
FIGURES = "noop|0|0|0"
KEYS = QueueKeys("t", "q")
AGE = 100_000  # of all that ask for none
REPLACED = 600_000
RULES = keeping(**{outcome: {"age": AGE / 1000} for outcome in OUTCOMES})
IDS = st.sampled_from(["a", "b", "c"])
VERBS = ["plain", "done", "done", "dead", "cancelled", "retry"]
OWN = st.sampled_from([0, 5_000, 300_000])


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A model bound to one server."""

    class Model(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            client.flushall()
            self.now = 1_800_000_000_000
            self.state: dict[str, str] = {}
            self.until: dict[str, int] = {}
            self.own: dict[str, int] = {}
            self.calls = 0
            self.store.join("w", LEASE)

        @property
        def store(self) -> Store:
            return Store(client, "t", "q", now=self.now)

        def ends(self, job_id: str, state: str, own_ms: int = 0) -> None:
            self.state[job_id] = state
            self.until[job_id] = self.now + (own_ms or AGE)
            if own_ms:
                self.own[job_id] = self.now + own_ms

        def forget(self, job_id: str) -> None:
            self.own.pop(job_id, None)
            self.until.pop(job_id, None)
            self.state.pop(job_id, None)

        @rule(ids=st.lists(IDS, min_size=1, unique=True), anew=st.booleans())
        def add(self, ids: list[str], anew: bool) -> None:
            self.calls += 1
            terms = Terms(nonce=f"n{self.calls}" if anew else "")
            jobs = [JobOnTerms.of(NewJob(job_id, "noop", b"{}"), terms) for job_id in ids]
            for job_id, word in zip(ids, self.store.add_once(jobs), strict=True):
                if word != b"duplicate":
                    assert self.state.get(job_id) in (None, *OUTCOMES)
                    self.forget(job_id)
                    self.state[job_id] = "waiting"

        @rule(by=IDS)
        def replace(self, by: str) -> None:
            """A job with a lock: the one that waits with it makes way."""
            self.calls += 1
            terms = Terms(nonce=f"n{self.calls}", lock="finished aa replace")
            [word] = self.store.add_once([JobOnTerms.of(NewJob(by, "noop", b"{}"), terms)])
            if word not in (b"added", b"replaced"):
                return
            self.forget(by)
            for job_id, state in self.state.items():
                if state == "waiting" and client.zscore(KEYS.cancelled, job_id) is not None:
                    self.ends(job_id, "cancelled", REPLACED)
            self.state[by] = "waiting"

        @rule(verb=st.sampled_from(VERBS), own_ms=OWN, slots=st.integers(1, 4), keep=st.sampled_from([9, 1, 1, 0]))  # fmt: skip
        def work(self, verb: str, own_ms: int, slots: int, keep: int) -> None:
            claim = self.store.claim("w", LEASE, slots=slots)
            ids = [job.id for job in claim.jobs]
            if verb == "plain":
                own_ms, done = 0, [Completed(i, claim.number, FIGURES, b"1") for i in ids]
                self.store.settle("w", LEASE, keep=keep, completed=done)
            else:
                own_ms = own_ms if verb in ("done", "dead") else 0
                ends = [Ending(verb, i, claim.number, FIGURES, own_ms, "failed") for i in ids]
                self.store.settle("w", LEASE, keep=keep, endings=ends)
            state = {"retry": "waiting", "dead": "dead", "cancelled": "cancelled"}
            for job_id in map(bytes.decode, ids):
                now = state.get(verb, "completed")
                self.state[job_id] = now
                if now != "waiting":
                    self.ends(job_id, now, own_ms)
            for job_id in [i for i, s in self.state.items() if s == "completed"]:
                if not client.exists(KEYS.job(job_id)):  # over the number
                    self.forget(job_id)

        @rule(job_id=IDS)
        def cancel(self, job_id: str) -> None:
            if self.store.cancel([job_id]) == ["cancelled"] and self.state[job_id] == "waiting":
                self.ends(job_id, "cancelled")

        @rule(job_id=IDS)
        def retry(self, job_id: str) -> None:
            if self.store.retry([job_id]) == ["retried"]:
                self.forget(job_id)
                self.state[job_id] = "waiting"

        @rule(job_id=IDS, state=st.sampled_from(["", *OUTCOMES, "waiting"]))
        def delete(self, job_id: str, state: str) -> None:
            words = self.store.purge(state, [job_id]) if state else self.store.delete([job_id])
            if words in (["deleted"], ["purged"]):
                self.forget(job_id)

        @rule(span=st.sampled_from([1, 4_999, 90_000, 500_000]))
        def time_passes(self, span: int) -> None:
            self.now += span

        @rule(limit=st.sampled_from([1, 2, 1000]))
        def retention_comes_by(self, limit: int) -> None:
            """What is due goes, however small the bites; nothing else does."""
            while self.store.trim(RULES, limit=limit).more:
                pass
            for job_id in [i for i, until in self.until.items() if until <= self.now]:
                self.forget(job_id)

        @invariant()
        def every_record_is_there_until_its_time(self) -> None:
            records = {k.decode().removeprefix(KEYS.job_prefix) for k in client.keys("t:{q}:job:*")}
            assert set(self.state) == records

        @invariant()
        def an_age_is_of_a_job_that_has_ended_and_asked_for_it(self) -> None:
            found = {
                i.decode(): at for i, at in client.zrange(KEYS.expiring, 0, -1, withscores=True)
            }
            assert self.own == found

    return Model


def test_redis_agrees_about_retention_in_every_world(redis_url: str) -> None:
    """Random worlds, each sixty steps."""
    client = connect(redis_url)
    run_state_machine_as_test(
        machine(client),
        settings=settings(
            max_examples=worlds(80),
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()
