"""The laws of what running jobs write: in every order of saying, losing, repeating and dying.

What a run says stands in the log once, in order, and only while it holds its job; what a stale run
tries changes nothing, not a byte; a log is bounded and counts what it lost; a step has one value, the
first that was recorded, over all runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

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
from support.examples import worlds

from jobd.broker.commands import Completed, Ending, Jot
from jobd.broker.connection import Client, connect
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.core.errors import Fenced

LEASE = 60_000
NOW = 1_800_000_000_000
FIGURES = "t|0|0|0"
IDS = ("a", "b")


@dataclass
class Said:
    """What one run has said so far, and which calls were made of it."""

    worker: str
    claim: int
    lines: list[bytes] = field(default_factory=list)
    calls: list[Jot] = field(default_factory=list)
    taken: int = 0
    version: int = 0


@dataclass
class Record:
    """What must stand in a job's record."""

    log: list[bytes] = field(default_factory=list)
    lost: int = 0
    progress: bytes | None = None
    steps: dict[str, bytes] = field(default_factory=dict)


def machine(client: Client) -> type[RuleBasedStateMachine]:  # noqa: C901  a world is one class
    """A model bound to one server."""

    class Notes(RuleBasedStateMachine):
        @initialize()
        def begin(self) -> None:
            client.flushall()
            self.store = Store(client, "t", "q", now=NOW)
            self.workers = 0
            self.runs: dict[str, Said] = {}
            self.stale: list[tuple[str, Said]] = []
            self.records = {i: Record() for i in IDS}
            self.numbers = 0
            self.store.add([NewJob(i, "t", b"{}") for i in IDS])

        def dump(self) -> dict[bytes, object]:
            read = {b"hash": client.hgetall, b"set": client.smembers}
            return {k: read.get(client.type(k), client.dump)(k) for k in sorted(client.keys("*"))}

        @precondition(lambda self: len(self.runs) < len(IDS))
        @rule()
        def claim(self) -> None:
            self.workers += 1
            name = f"w.{self.workers}"
            self.store.join(name, LEASE)
            claim = self.store.claim(name, LEASE)
            for job in claim.jobs:
                job_id = job.id.decode()
                self.runs[job_id] = Said(name, claim.number)
                record = self.records[job_id]
                known = {n for n in job.more if n.startswith(b"~once:")}
                assert known == {f"~once:{name}".encode() for name in record.steps}
                assert all(not job.more[n] for n in job.more if n.startswith(b"~"))

        def run_of(self, data: st.DataObject) -> tuple[str, Said]:
            job_id = data.draw(st.sampled_from(sorted(self.runs)))
            return job_id, self.runs[job_id]

        @precondition(lambda self: self.runs)
        @rule(
            data=st.data(), more=st.sampled_from([0, 1, 3, 400, 1200]), size=st.sampled_from([1, 90]),
            again=st.integers(0, 5), dropped=st.sampled_from([0, 0, 2]), moves=st.booleans(),
        )  # fmt: skip
        def say(
            self, data: st.DataObject, more: int, size: int, again: int, dropped: int, moves: bool
        ) -> None:
            """Say more, some of it sent before; perhaps some was dropped before it was sent."""
            job_id, said = self.run_of(data)
            record = self.records[job_id]
            begun = len(said.lines)
            for _ in range(more):
                self.numbers += 1
                said.lines.append(b'"%0*d"\n' % (size, self.numbers))
            first = max(0, said.taken - again) if again else said.taken
            if dropped and more > dropped and first >= said.taken:
                first = begun + dropped
            said.version += 1
            progress = b"[%d]" % said.version if moves else b""
            jot = Jot(
                job_id.encode(), said.claim, said.version, progress, first, said.lines[first:]
            )
            assert self.store.jot(said.worker, [jot]) == []
            said.calls.append(jot)
            fresh = said.lines[max(first, said.taken) :]
            if fresh:
                record.lost += max(0, first - said.taken)
                record.log += fresh
                said.taken = len(said.lines)
            while len(record.log) > 1000 or sum(map(len, record.log)) > 65_536:
                del record.log[0]
                record.lost += 1
            if moves:
                record.progress = progress

        @precondition(lambda self: any(said.calls for said in self.runs.values()))
        @rule(data=st.data())
        def repeat(self, data: st.DataObject) -> None:
            """Send any earlier call once more: its reply was lost, or it sat in a socket."""
            talked = sorted(i for i, said in self.runs.items() if said.calls)
            said = self.runs[data.draw(st.sampled_from(talked))]
            before = self.dump()
            assert self.store.jot(said.worker, [data.draw(st.sampled_from(said.calls))]) == []
            assert before == self.dump()

        @precondition(lambda self: self.runs)
        @rule(
            data=st.data(),
            name=st.sampled_from("xyz"),
            value=st.sampled_from([b"1", b'"s"', b"!no"]),
        )
        def step(self, data: st.DataObject, name: str, value: bytes) -> None:
            job_id, said = self.run_of(data)
            steps = self.records[job_id].steps
            asked = self.store.step(said.worker, job_id, said.claim, name)
            assert asked == ([b"known", steps[name]] if name in steps else [b"none"])
            answer = self.store.step(said.worker, job_id, said.claim, name, value)
            assert answer == ([b"known", steps[name]] if name in steps else [b"recorded"])
            steps.setdefault(name, value)
            before = self.dump()
            self.store.step(said.worker, job_id, said.claim, name, value)
            assert before == self.dump()

        @precondition(lambda self: self.runs)
        @rule(data=st.data(), way=st.sampled_from(["retry", "back", "release", "dead", "done"]))
        def end(self, data: st.DataObject, way: str) -> None:
            """Let a run end in one of the ways there are; a dead job is put back by its operator."""
            job_id, said = self.run_of(data)
            raw = job_id.encode()
            if way == "back":
                self.store.hand_back(said.worker, [(raw, said.claim)])
            elif way == "release":
                self.store.release(said.worker)
            elif way == "done":
                done = [Completed(raw, said.claim, FIGURES, b"")]
                self.store.settle(said.worker, LEASE, completed=done, keep=0)
            else:
                ends = [Ending(way, raw, said.claim, FIGURES, 0, "failed", {"error": "no"})]
                self.store.settle(said.worker, LEASE, endings=ends)
                if way == "dead":
                    assert self.store.retry([job_id]) == ["retried"]
            if way == "done":
                assert client.keys(f"*:{job_id}") == []
                self.records[job_id] = Record()
                client.delete(*client.keys("t:{q}:recent:*"))
                self.store.add([NewJob(job_id, "t", b"{}")])
            self.stale.append((job_id, self.runs.pop(job_id)))

        @precondition(lambda self: self.stale)
        @rule(data=st.data(), verb=st.sampled_from(["say", "repeat", "ask", "step"]))
        def a_stale_run_tries(self, data: st.DataObject, verb: str) -> None:
            job_id, said = data.draw(st.sampled_from(self.stale))
            jot = Jot(job_id.encode(), said.claim, said.version + 1, b"[9]", said.taken, [b"9\n"])
            if verb == "repeat" and said.calls:
                jot = data.draw(st.sampled_from(said.calls))
            before = self.dump()
            if verb in ("ask", "step"):
                value = b"9" if verb == "step" else b""
                assert self.store.step(said.worker, job_id, said.claim, "x", value) == [b"stale"]
            else:
                try:
                    assert self.store.jot(said.worker, [jot]) == [job_id.encode()]
                except Fenced:
                    assert said.worker not in self.store.open_leases()
            assert before == self.dump()

        @invariant()
        def the_record_is_as_it_must_be(self) -> None:
            for job_id, record in self.records.items():
                found = client.hgetall(f"t:{{q}}:job:{job_id}")
                assert found.get(b"~log", b"") == b"".join(record.log)
                assert found.get(b"~progress") == record.progress
                noted = found.get(b"~noted", b"0 0 0 0 0").split()
                assert [int(n) for n in noted[3:]] == [len(record.log), record.lost]
                steps = {k.decode()[6:]: v for k, v in found.items() if k.startswith(b"~once:")}
                assert steps == record.steps

    return Notes


def test_redis_agrees_with_the_model_of_notes(redis_url: str) -> None:
    """Random worlds, each forty steps."""
    client = connect(redis_url)
    run_state_machine_as_test(
        machine(client),
        settings=settings(
            max_examples=worlds(40),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    client.close()
