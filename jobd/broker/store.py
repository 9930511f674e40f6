"""Writes to Redis, one method per transition, for callers that speak one call at a time.

The worker's hot path sends the same commands through a `Link` of its own, many in one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jobd.broker.bites import PROMOTE_BITE, TRIM_BITE
from jobd.broker.claims import read_claim
from jobd.broker.commands import (
    Blame,
    Claim,
    Command,
    Completed,
    End,
    Ending,
    Jot,
    Order,
    QueueCommands,
)
from jobd.broker.connection import AsyncClient, Client, place_of, run, run_timed, translated
from jobd.broker.keys import FORMAT, SharedKeys
from jobd.broker.layout import check_format
from jobd.broker.new_job import NewJob
from jobd.broker.releases import Release, release_all
from jobd.broker.replies import read_ends, read_held, read_number, refuse_fenced
from jobd.broker.scripts import SCRIPTS
from jobd.core.limits import Limits
from jobd.core.names import is_name
from jobd.core.options import Policy


class Promoted(NamedTuple):
    """How many jobs a bite moved, when the next one is due (ms), whether more may be due, and for
    how many seconds it held the server."""

    moved: int
    next_due: int | None
    more: bool
    took: float


class Trimmed(NamedTuple):
    """How many records a bite removed, whether there is more to look at, and for how many seconds
    it held the server, by the server's own clock."""

    removed: int
    more: bool
    took: float


class Store:
    """One queue's transitions. `now` injects a store time in ms for tests; None asks Redis."""

    def __init__(
        self, client: Client, namespace: str, queue: str, *, now: int | None = None
    ) -> None:
        self._client = client
        self.commands = QueueCommands(namespace, queue, now=now)

    def add(self, jobs: Sequence[NewJob], *, fresh: bool = False) -> list[bool]:
        """Add jobs in one round trip. True for each that was added, False for a duplicate.

        Whoever calls this has registered the queue. Raises StoreFull (nothing was added) and BrokerUnavailable (the outcome may be unknown;
        repeat with fresh=False, which is idempotent by id).
        """
        return [word == b"added" for word in self.add_once(jobs, fresh=fresh)]

    def add_once(self, jobs: Sequence[NewJob], *, fresh: bool = False) -> list[bytes]:
        """Add jobs, perhaps on terms; a word for each: added, replaced, duplicate, or "held <id>".

        Raises as `add` does; a repeat with the same terms is harmless.
        """
        command = self.commands.as_known(self.commands.add(jobs, fresh=fresh))
        words: list[bytes] = run(self._client, command)
        return words

    def join(
        self,
        incarnation: str,
        lease_ms: int,
        policy: Policy | None = None,
        hooks: Sequence[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take a lease before the first claim. Raises Fenced."""
        command = self.commands.join(incarnation, lease_ms, policy, hooks, limits)
        refuse_fenced(run(self._client, command))

    def renew(self, lease_ms: int, incarnations: Iterable[str]) -> list[str]:
        """Extend leases; give the incarnations that have no open one."""
        reply = run(self._client, self.commands.renew(lease_ms, incarnations))
        return [name.decode() for name in reply[1:]]

    def claim(
        self,
        incarnation: str,
        lease_ms: int,
        *,
        slots: int = 1,
        limit: int = 256,
        budget_us: int = 0,
        ahead_ms: int = 0,
        costs: Iterable[str | bytes | int] = (),
    ) -> Claim:
        """Claim a batch. Raises Fenced."""
        command = self.commands.claim(
            incarnation, lease_ms,
            slots=slots, limit=limit, budget_us=budget_us, ahead_ms=ahead_ms, costs=costs,
        )  # fmt: skip
        return read_claim(run(self._client, command))

    def settle(
        self,
        incarnation: str,
        lease_ms: int,
        *,
        keep: int = 10_000,
        completed: Sequence[Completed] = (),
        endings: Sequence[Ending] = (),
        sums: Sequence[str | int] = (),
    ) -> list[bytes]:
        """Settle a batch; give the ids that were not this incarnation's any more. Raises Fenced."""
        command = self.commands.settle(
            incarnation, lease_ms, keep=keep, completed=completed, endings=endings, sums=sums
        )
        reply = run(self._client, command)
        refuse_fenced(reply)
        gone: list[bytes] = reply[2:]
        return gone

    def hand_back(self, incarnation: str, jobs: Iterable[tuple[bytes, int]]) -> list[bytes]:
        """Put unstarted jobs back to their places in line; give the ids that went."""
        back: list[bytes] = run(self._client, self.commands.hand_back(incarnation, jobs))[1:]
        return back

    def reconcile(
        self, incarnation: str, suspects: Iterable[tuple[bytes, int]] = ()
    ) -> dict[bytes, int]:
        """Hand back suspects, then look: job id -> claim of what is held. Raises Fenced."""
        return read_held(run(self._client, self.commands.reconcile(incarnation, suspects)))

    def release(
        self, incarnation: str, blamed: Sequence[Blame] = (), *, begun: int | None = None
    ) -> None:
        """Give back everything a dead worker of this host held, bite by bite: first what is charged,
        or it would go back free. `begun` is the last claim of which it has begun a job, where that
        is known."""
        [refused] = release_all(self._client, [Release(self.commands, incarnation, blamed, begun)])
        if refused is not None:
            raise refused

    def reap(self, incarnation: str, seen: str, host: str = "") -> bool:
        """Take back everything a vanished worker held; `host` is its host's name, where that is known.
        False when its owner is alive after all."""
        while True:
            reply = run(self._client, self.commands.reap(incarnation, seen, host=host))
            if reply == [b"alive"]:
                return False
            if reply == [b"released"]:
                return True
            seen = "0"  # closed by the first bite

    def promote(self, limit: int = PROMOTE_BITE) -> Promoted:
        """Move what is due, at most a bite."""
        reply, took = run_timed(self._client, self.commands.promote(limit))
        moved, due = int(reply[1]), int(float(reply[2])) if reply[2] else None
        return Promoted(moved, due, more=moved == limit, took=took)

    def trim(self, policy: Policy, *, keeper: str = "", limit: int = TRIM_BITE) -> Trimmed:
        """Remove finished jobs past their retention, at most a bite.

        What the queue's workers said goes before `policy`. `keeper` names the caller: while one has
        more to do, another's call is answered with nothing for a second.
        """
        reply, took = run_timed(
            self._client, self.commands.trim(policy, keeper=keeper, limit=limit)
        )
        if reply == [b"busy"]:
            return Trimmed(0, more=False, took=took)
        return Trimmed(int(reply[1]), more=reply[2] == b"more", took=took)

    def await_end(self, job_id: str, until_ms: int) -> End:
        """Look whether a job has ended, and ask to be told of its end, for this long."""
        return read_ends(run(self._client, self.commands.await_ends([job_id], until_ms)))[0]

    def jot(self, incarnation: str, jots: Iterable[Jot]) -> list[bytes]:
        """Write down what runs have said; give the ids that are not this worker's any more.

        Raises Fenced.
        """
        reply = run(self._client, self.commands.jot(incarnation, jots))
        refuse_fenced(reply)
        return list(reply[1:])

    def step(
        self, incarnation: str, job_id: str | bytes, claim: int, name: str, value: bytes = b""
    ) -> list[bytes]:
        """Record a step's value, or with b'' ask for it; give the script's words."""
        reply = run(self._client, self.commands.step(incarnation, job_id, claim, name, value))
        return list(reply)

    def cancel(self, ids: Sequence[str], *, force: bool = False) -> list[str]:
        """Cancel jobs; a word for each: cancelled, asked (it runs), completed, dead or gone; or
        `later`, where nothing was done and it is to be asked for again. The first never is."""
        return _words(run(self._client, self.commands.cancel(ids, force=force)))

    def heed(self) -> list[Order]:
        """Read what was ordered about jobs that still run; drop what was about others."""
        reply = run(self._client, self.commands.heed())[1:]
        return [
            Order(job.decode("utf-8", "replace"), word.decode(), read_number(claim), name.decode())
            for job, word, claim, name in zip(*(reply[i::4] for i in range(4)), strict=True)
        ]

    def reschedule(self, ids: Sequence[str], due: str) -> list[str]:
        """Move jobs to another time; the state of each after it."""
        return _words(run(self._client, self.commands.reschedule(ids, due)))

    def retry(self, ids: Sequence[str]) -> list[str]:
        """Put ended jobs back in line; a word for each: retried, or the state that forbids it."""
        return _words(run(self._client, self.commands.retry(ids)))

    def delete(self, ids: Sequence[str]) -> list[str]:
        """Remove ended jobs; a word for each: deleted, or the state that forbids it."""
        return _words(run(self._client, self.commands.delete(ids)))

    def pause(self, task: str = "", why: str = "") -> str:
        """Let nothing more begin; say paused, already, or too_many (tasks)."""
        return str(run(self._client, self.commands.pause(task, why))[0].decode())

    def resume(self, task: str = "") -> str:
        """Let it go on, when every job of the task is back in line; say resumed or running."""
        while (word := run(self._client, self.commands.resume(task))[0]) == b"more":
            pass
        return str(word.decode())

    def purge(self, state: str, ids: Sequence[str]) -> list[str]:
        """Remove jobs that are in one state; a word for each: purged, or the state it is in."""
        return _words(run(self._client, self.commands.purge(state, ids)))

    def wake(self) -> None:
        """Make one idle worker look at the queue."""
        run(self._client, self.commands.wake())

    def open_leases(self) -> dict[str, str]:
        """Read every lease: incarnation -> score, as Redis writes it."""
        with translated(place_of(self._client)):
            rows = self._client.execute_command(
                "ZRANGE", self.commands.keys.leases, 0, -1, "WITHSCORES"
            )  # type: ignore[no-untyped-call]
        # Whatever else a stranger put there is nobody's incarnation.
        return {member.decode(): _plain(score) for member, score in _rows(rows) if is_name(member)}

    def line_of(self, incarnation: str) -> list[tuple[bytes, int]]:
        """Read what an incarnation holds, (job id, claim), in the order of its claims and lines."""
        keys = self.commands.keys
        with translated(place_of(self._client)):
            held: Any = self._client.hgetall(keys.held(incarnation))
            pipe = self._client.pipeline(transaction=False)
            for job in held:
                pipe.hmget(keys.job(job.decode("utf-8", "replace")), "priority", "seq")
            records: list[Any] = pipe.execute(raise_on_error=False) if held else []
        order = {
            job: (read_number(claim), *_place(record))
            for (job, claim), record in zip(held.items(), records, strict=True)
        }
        return [(job, order[job][0]) for job in sorted(order, key=order.__getitem__)]


def epoch_command(namespace: str, candidate: str) -> Command:
    """Spell the question for the store's epoch; it becomes `candidate` when there is none."""
    shared = SharedKeys(namespace)
    return SCRIPTS["epoch"].command([shared.epoch, shared.format], "", candidate, FORMAT)


def epoch_of(reply: Any, namespace: str) -> str:
    """Read the answer. Raises OtherFormat where this version does not know the store's."""
    check_format(reply[2], SharedKeys(namespace).format)
    return str(reply[1].decode("utf-8", "backslashreplace"))


def read_epoch(client: Client, namespace: str, candidate: str) -> str:
    """Ask and read. Raises BrokerError, OtherFormat."""
    return epoch_of(run(client, epoch_command(namespace, candidate)), namespace)


def register_queues(client: Client, namespace: str, queues: Iterable[str]) -> None:
    """Make queues known to every host's reaper and to people.

    Raises StoreFull only for queues that are not known yet: at maxmemory SADD is refused even when
    it would add nothing.
    """
    keys = SharedKeys(namespace)
    with translated(place_of(client)):
        pipe = client.pipeline(transaction=False)
        # Two keys of two slots: a node of a cluster refuses the call, whatever it holds.
        pipe.exists(keys.queues, keys.epoch)
        pipe.smembers(keys.queues)
        _, known = pipe.execute()
        if missing := {name.encode() for name in queues} - known:
            client.sadd(keys.queues, *missing)


async def register_queue_async(client: AsyncClient, namespace: str, queue: str) -> None:
    """Make one queue known. Raises StoreFull also where it is known."""
    keys = SharedKeys(namespace)
    with translated(place_of(client)):
        await client.exists(keys.queues, keys.epoch)
        await client.sadd(keys.queues, queue)


def store_ms(client: Client) -> int:
    """Read Redis' clock, in ms since 1970."""
    with translated(place_of(client)):
        seconds, micros = client.execute_command("TIME")  # type: ignore[no-untyped-call]
    return int(seconds) * 1000 + int(micros) // 1000


def _words(reply: list[bytes]) -> list[str]:
    return [word.decode() for word in reply]


def _place(record: object) -> tuple[int, int]:
    """Read (priority, sequence) as the scripts do; a record that cannot be read stands first."""
    match record:
        case [bytes() | None as priority, bytes() as seq]:
            try:
                return int(priority or 5), int(seq)
            except ValueError:
                return 5, 0
        case _:
            return 5, 0


def _rows(rows: list[object]) -> list[tuple[bytes, bytes]]:
    if rows and isinstance(rows[0], list | tuple):
        return [(row[0], row[1]) for row in rows if isinstance(row, list | tuple)]
    return [(rows[i], rows[i + 1]) for i in range(0, len(rows), 2)]  # type: ignore[misc]


def _plain(score: bytes | float) -> str:
    return f"{float(score):.0f}"
