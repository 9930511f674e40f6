"""The script calls of one queue, spelled; and their replies, read.

Commands are values. Who sends them - a client, an event loop, a worker's pipelined link - is
another's business, so that there is one spelling of each for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import asdict

from jobd.broker import bites
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import NO_TERMS, JobOnTerms, NewJob, any_on_terms
from jobd.broker.scripts import SCRIPTS
from jobd.core.limits import Limits
from jobd.core.options import Policy
from jobd.core.retention import RETAIN_FIELDS

Command = list[str | bytes | int]

# What holds a queue back, in the words of the claim script.
PAUSED, THROTTLED, CAPPED, LIMITED = "paused", "throttled", "capped", "limited"


class Claimed(msgspec.Struct, frozen=True, gc=False):
    """A job as a claim returns it, with the claim's number.

    `at` is when it was added, ms since 1970. `more` is its record without the arguments and
    the values of notes, or empty for one that never ran and asked for nothing.
    """

    id: bytes
    task: bytes
    args: bytes
    at: int
    more: dict[bytes, bytes]
    claim: int


@dataclass(frozen=True, slots=True)
class Claim:
    """What one claim call brought: its number, Redis' clock (ms), the jobs.

    `again_at` is when there may be more (Redis' clock, ms): the next delayed job is due, or a limit
    lets one begin. `word` says what holds the queue back: paused, throttled, capped, limited, or ''.
    Where there is a rate limit the jobs may start in `wait_ms`, and have to in `within_ms` from there
    on or go back; else `within_ms` is None.
    """

    number: int
    now: int
    again_at: int | None
    jobs: list[Claimed]
    word: str = ""
    within_ms: int | None = None
    wait_ms: int = 0


class Completed(msgspec.Struct, frozen=True, gc=False):
    """A job that ended well. `result` is JSON, or b'' for null; `ran` is its run's line (jobd.core.ran),
    if it leaves one."""

    id: bytes
    claim: int
    figures: str
    result: bytes
    ran: bytes = b""


@dataclass(frozen=True, slots=True)
class Ending:
    """Any other end. `verb` is done, retry, throttle, dead or cancelled; `delay_ms` is the delay of the
    job or (throttle) of the whole queue, or the job's own retention (0 = the queue's); `cause` counts the outcome, and is the cause of a death."""

    verb: str
    id: bytes
    claim: int
    figures: str
    delay_ms: int
    cause: str
    fields: dict[str, str | bytes | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done about a running job. `word` is cancel (tell it) or kill (its process)."""

    job_id: str
    word: str
    claim: int
    incarnation: str


@dataclass(frozen=True, slots=True)
class Blame:
    """A job that was running when its worker ended. `counter` is crashes, suspected,
    timeouts, lost or interrupted; `note` is a JSON record for the worker that claims it next, or b''.
    With a `claim` it is charged only while it is held by that; 0 is any."""

    id: str
    counter: str
    note: bytes = b""
    claim: int = 0


class Jot(NamedTuple):
    """What a run has said since it was last heard: see jot.lua. `lines` are JSON with a newline each,
    `first` is the number of the first of them among all of the run; `progress` is JSON, or b''."""

    id: bytes
    claim: int
    version: int
    progress: bytes
    first: int
    lines: list[bytes]


WAITS = "waits"


class End(NamedTuple):
    """How a job ended: `state` is completed, dead, cancelled or gone, or WAITS for one that has
    not. `value` is the result, or the cause of a death, `error` what it died of."""

    state: str
    value: bytes | None = None
    error: bytes | None = None


class QueueCommands:
    """Spells the calls for one queue. `now` injects a store time in ms (tests); None asks Redis."""

    def __init__(self, namespace: str, queue: str, *, now: int | None = None) -> None:
        self.keys = QueueKeys(namespace, queue)
        self.now: str | int = "" if now is None else now
        # Spelled once: what a producer spends on each job is the job.
        self._add_fresh = self._call("add", None, "1", "1")
        self._add_again = self._call("add", None, "1", "")

    def add(self, jobs: Sequence[NewJob], *, fresh: bool) -> Command:
        """Add jobs; `fresh` when their ids were made a moment ago and are sent for the first time,
        and none is on terms.

        To a queue that is new to the store nothing is added: see `as_known`, QueueUnknown.
        """
        if not fresh and any_on_terms(jobs):
            return self._add_once(jobs)
        command = list(self._add_fresh if fresh else self._add_again)
        for job in jobs:
            command += job
        return command

    def _add_once(self, jobs: Sequence[NewJob]) -> Command:
        command = self._call("add_once", None, "1")
        for job in jobs:
            command += job
            command += job.terms if isinstance(job, JobOnTerms) else NO_TERMS
        return command

    def add_bites(self, jobs: Sequence[NewJob], *, fresh: bool) -> list[Command]:
        """Add many jobs, in calls that are sent together and do not hold Redis for long each."""
        # Sums of bytes are the caller's: ADD_BYTES.
        bite = bites.ADD_ONCE_BITE if not fresh and any_on_terms(jobs) else bites.ADD_BITE
        return [self.add(jobs[at : at + bite], fresh=fresh) for at in range(0, len(jobs), bite)]

    @staticmethod
    def as_known(command: Command) -> Command:
        """Have an add carried out in any case: the queue's name is in `queues`."""
        command[4 + int(command[2])] = (
            ""  # after EVALSHA, the script, the number of keys, keys, now
        )
        return command

    def join(
        self,
        incarnation: str,
        lease_ms: int,
        policy: Policy | None = None,
        hooks: Sequence[str] | None = None,
        limits: Limits | None = None,
        slots: int | None = None,
    ) -> Command:
        """Take a lease; `policy` says how long the queue keeps its finished jobs, `hooks` of which
        events (dead, lost) jobs are to tell, `limits` what bounds the queue, `slots` how many jobs
        run at once in a worker (for people: `jobd why`)."""
        said: list[str | bytes | int] = [] if policy is None else [*_retention(policy)]
        if hooks is not None:
            said += ["hooks", " ".join(hooks)]
        if limits is not None:
            said += [part for name, n in asdict(limits).items() for part in (name, n or "")]
        if slots is not None:
            said += ["slots", slots]
        return self._call("join", None, incarnation, lease_ms, *said)

    def renew(self, lease_ms: int, incarnations: Iterable[str]) -> Command:
        return self._call("renew", None, lease_ms, *incarnations)

    def claim(
        self,
        incarnation: str,
        lease_ms: int,
        *,
        slots: int,
        limit: int = bites.MAX_BATCH,
        budget_us: int = 0,
        ahead_ms: int = 0,
        costs: Iterable[str | bytes | int] = (),
    ) -> Command:
        """Claim a batch. `costs` is flat: task, microseconds, task, microseconds ...

        `ahead_ms`: where there is a rate limit, a job that may start within that time will do.
        """
        return self._call(
            "claim", incarnation, incarnation, lease_ms, slots, limit, budget_us, bites.MAX_BATCH_BYTES,
            ahead_ms, *costs,
        )  # fmt: skip

    def settle(
        self,
        incarnation: str,
        lease_ms: int,
        *,
        keep: int,
        completed: Sequence[Completed] = (),
        endings: Sequence[Ending] = (),
        sums: Sequence[str | int] = (),
    ) -> Command:
        """Settle a batch. `sums` is flat: tally field, amount, ..."""
        flat: list[str | bytes | int] = list(sums)
        for (verb, claim, figures), jobs in _grouped(completed).items():
            flat += (verb, claim, figures, len(jobs))
            flat += jobs if verb == "plain" else chain.from_iterable(jobs)
        for end in endings:
            flat += [end.verb, end.id, end.claim, end.figures, end.delay_ms, end.cause]
            flat.append(len(end.fields))
            for name, value in end.fields.items():
                flat += [name, value]
        return self._call(
            "settle",
            incarnation,
            incarnation,
            lease_ms,
            keep,
            len(sums) // 2,
            *flat,
        )

    def hand_back(self, incarnation: str, jobs: Iterable[tuple[bytes, int]]) -> Command:
        flat = [part for job in jobs for part in job]
        return self._call("hand_back", incarnation, incarnation, *flat)

    def reconcile(self, incarnation: str, suspects: Iterable[tuple[bytes, int]] = ()) -> Command:
        flat = [part for job in suspects for part in job]
        return self._call("reconcile", incarnation, incarnation, *flat)

    def release(
        self,
        incarnation: str,
        blamed: Iterable[Blame] = (),
        limit: int = bites.BITE,
        begun: int | None = None,
    ) -> Command:
        """Close a lease and give back what was held; `begun` is the last claim of which a job was
        begun, where that is known."""
        flat: list[str | bytes | int] = []
        for blame in blamed:
            flat += [blame.id, blame.counter, blame.note, blame.claim or ""]
        known = "" if begun is None else begun
        return self._call("release", incarnation, incarnation, limit, known, *flat)

    def reap(
        self, incarnation: str, seen: str | bytes, limit: int = bites.BLAME_BITE, host: str = ""
    ) -> Command:
        return self._call("reap", incarnation, incarnation, seen, limit, host)

    def promote(self, limit: int = bites.PROMOTE_BITE) -> Command:
        return self._call("promote", None, limit)

    def trim(self, policy: Policy, *, keeper: str, limit: int = bites.TRIM_BITE) -> Command:
        """Remove finished jobs past their retention; `keeper` names who does it."""
        return self._call("trim", None, limit, keeper, *_retention(policy))

    def await_ends(self, ids: Sequence[str], until_ms: int) -> Command:
        """Ask for up to bites.SMALL_BITE ends, and to be told of those to come within `until_ms`."""
        return self._call("await", None, until_ms, *ids)

    def jot(self, incarnation: str, jots: Iterable[Jot]) -> Command:
        flat: list[str | bytes | int] = []
        for jot in jots:
            flat += [jot.id, jot.claim, jot.version, jot.progress, jot.first, len(jot.lines)]
            flat += jot.lines
        return self._call("jot", incarnation, incarnation, *flat)

    def step(
        self, incarnation: str, job_id: str | bytes, claim: int, name: str, value: bytes = b""
    ) -> Command:
        """Record a step's value, or with b'' ask for it."""
        return self._call("step", incarnation, incarnation, job_id, claim, name, value)

    def cancel(self, ids: Sequence[str], *, force: bool = False) -> Command:
        """Cancel up to bites.SMALL_BITE jobs; `force` ends the process of one that runs."""
        return self._call("cancel", None, "kill" if force else "cancel", *ids)

    def heed(self) -> Command:
        return self._call("heed", None, bites.MAX_ORDERS)

    def reschedule(self, ids: Sequence[str], due: str) -> Command:
        """Move jobs to another time; `due` is as in NewJob."""
        return self._call("reschedule", None, due, *ids)

    def retry(self, ids: Sequence[str]) -> Command:
        return self._call("retry", None, *ids)

    def delete(self, ids: Sequence[str]) -> Command:
        return self._call("delete", None, *ids)

    def pause(self, task: str = "", why: str = "") -> Command:
        """Let nothing more begin, of the queue or of one of its tasks."""
        return self._call("pause", None, task, why)

    def resume(self, task: str = "") -> Command:
        return self._call("resume", None, task, bites.BITE)

    def purge(self, state: str, ids: Sequence[str]) -> Command:
        return self._call("purge", None, state, *ids)

    def wake(self) -> Command:
        return self._call("wake", None)

    def _call(self, name: str, incarnation: str | None, *args: str | bytes | int) -> Command:
        script = SCRIPTS[name]
        keys = [
            self.keys.held(incarnation or "") if key == "held" else getattr(self.keys, key)
            for key in script.keys
        ]
        return script.command(keys, self.now, *args)


def _grouped(completed: Sequence[Completed]) -> dict[tuple[str, int, str], list[Any]]:
    """Put ids, (id, result)s or (id, result, ran)s together by claim and figures: most of a batch has
    the same."""
    groups: dict[tuple[str, int, str], list[Any]] = {}
    plain: list[Any] = []
    claim, figures = 0, None  # of those that go there
    for job in completed:
        if job.ran:
            told = (job.id, job.result, job.ran)
            groups.setdefault(("told", job.claim, job.figures), []).append(told)
        elif job.result:
            groups.setdefault(("value", job.claim, job.figures), []).append((job.id, job.result))
        else:
            if job.figures is not figures or job.claim != claim:
                claim, figures = job.claim, job.figures
                plain = groups.setdefault(("plain", claim, figures), [])
            plain.append(job.id)
    return groups


def _retention(policy: Policy) -> list[str | int]:
    """Spell how long a queue keeps its finished jobs: name, value, ... as `meta` has them."""
    return list(chain.from_iterable((name, getattr(policy, name)) for name in RETAIN_FIELDS))
