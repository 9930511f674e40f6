"""Schedules in Redis: one queue's, declared, looked at and fired. Blocking; one call at a time.

A schedule is a member of `schedules` (name -> its next slot) and a record of what it adds and when.
Which slots there are is reckoned here, from the record and Redis' clock; that one is fired once is
the script's affair. Called by the keeper's duty, by `Queue.schedules` and by the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jobd.broker.commands import Command
from jobd.broker.connection import Client, place_of, run, run_many, translated
from jobd.broker.keys import QueueKeys
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.schedule_records import (
    ScheduleInfo,
    fields_of,
    finite,
    info_of,
    record_of,
    recorded_slots,
    text,
    whole,
)
from jobd.broker.scripts import SCRIPTS
from jobd.broker.store import Store, register_queues, store_ms
from jobd.broker.together import read_together
from jobd.core.errors import JobdError
from jobd.core.missed import Firing, decide
from jobd.core.names import check_name, is_name
from jobd.core.schedule import Schedule, job_id

API = "api"
DECLARED = "declared"
# Schedules of one look, looks of one call: what is due beyond that is due at the next call.
PAGE = 50
_MOST_LOOKS = 40
_TRIES = 5
_NEVER = "inf"


class Due(NamedTuple):
    """A schedule that is due, and what its slots are reckoned by."""

    name: str
    slot: int
    cron: str
    tz: str
    every_ms: int
    missed: str
    version: str


class Fired(NamedTuple):
    """What became of a schedule that was due: the script's word, or `unusable` and why.

    `slots` are those that fired, the first `late` of them late, and `jobs` so many were added: fewer
    where a lock was held. `missed` were late, run or not. `next` is the slot after all of these.
    """

    name: str
    word: str
    slots: tuple[int, ...] = ()
    late: int = 0
    missed: int = 0
    jobs: int = 0
    next: int | None = None
    why: str = ""


class Round(NamedTuple):
    """What became of all that was due: at Redis' time `now` (ms), with the next one due in `wait`
    ms. `is_whole` when nothing that was due at that time can have been overlooked."""

    fired: list[Fired]
    now: int
    wait: int | None
    is_whole: bool


class Mention(NamedTuple):
    """When a schedule was declared last, as recorded; by hosts' code or files, or by a program."""

    declared_at: str
    is_declared: bool


def _no_floor(name: str) -> int:
    del name
    return 0


class ScheduleStore:
    """The schedules of one queue. `now` injects a store time in ms for tests; None asks Redis.

    `floor_of` gives up to where (ms) this host knows a schedule to be decided on, whatever the store
    says: nothing fires at or below that. Who has no such memory gives none.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        queue: str,
        *,
        floor_of: Callable[[str], int] = _no_floor,
        now: int | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._queue = queue
        self._floor_of = floor_of
        self._now = now
        self.keys = QueueKeys(namespace, queue)

    def register(self) -> None:
        """Make the queue known to every host. Raises StoreFull where it is not and cannot be."""
        register_queues(self._client, self._namespace, [self._queue])

    def put(self, schedule: Schedule, *, origin: str = API, age_ms: int = 0) -> str:
        """Make it so; answer created, changed, same, or older (newer code says otherwise).

        `age_ms` is how long ago the code that declares it was loaded. Raises OptionError where this
        host does not know the zone.
        """
        floor = self._floor_of(schedule.name)
        for tries in range(_TRIES):
            now = self.time()
            # What was due under another time is fired first; where that cannot be done, it is dropped.
            force = "1" if tries >= 2 else ""
            command = self._call(
                "schedule_put", schedule.name, schedule.version, schedule.timing,
                next(schedule.slots.after(max(now, floor)), _NEVER), origin, age_ms, force, *record_of(schedule),
            )  # fmt: skip
            word, *rest = run(self._client, command)
            if word == b"due":
                self.fire_due()
            elif word == b"below":
                floor = int(rest[0])
            else:
                break
        return str(word.decode())

    def remove(self, name: str, *, seen: str = "") -> str:
        """Take it away; `seen`: only if it was not declared since. Answers removed, gone, declared."""
        return self._word("schedule_remove", name, seen)

    def pause(self, name: str) -> str:
        """Fire it no more for now. Answers paused or gone."""
        return self._word("schedule_pause", name)

    def resume(self, name: str) -> str:
        """Fire it again, from the next slot on. Answers resumed, running or gone."""
        floor = self._floor_of(name)
        for _ in range(_TRIES):
            with translated(place_of(self._client)):
                record: Any = self._client.hgetall(self.keys.schedule_prefix + name)
            fields = fields_of(record)
            upcoming = self._upcoming(fields, floor)
            command = self._call("schedule_resume", name, fields.get("version", ""), upcoming)
            word, *rest = run(self._client, command)
            if word == b"below":
                floor = int(rest[0])
            elif word != b"changed":
                break
        return str(word.decode())

    def _upcoming(self, fields: Mapping[str, str], floor: int) -> int | str:
        try:
            slots = recorded_slots(fields["cron"], fields["tz"], whole(fields["every"]))
        except JobdError:
            return _NEVER
        return next(slots.after(max(self.time(), floor)), _NEVER)

    def look(self, offset: int = 0) -> tuple[int, int | None, list[Due]]:
        """Give Redis' clock, when the next schedule is due, and those that are due."""
        reply = run(self._client, self._call("schedule_look", offset, PAGE))
        rows = [
            [value.decode("utf-8", "replace") for value in reply[i : i + 7]]
            for i in range(2, len(reply), 7)
        ]
        due = [
            Due(name, whole(slot), cron, tz, whole(every), missed, version)
            for name, slot, cron, tz, every, missed, version in rows
        ]
        return int(reply[0]), finite(reply[1]), due

    def fire(self, due: Sequence[Due], now: int) -> list[Fired]:
        """Fire what is due of some schedules in one round trip, unless somebody else did.

        Raises StoreFull; those that were not refused are fired then.
        """
        done: list[Fired] = []
        fires: list[tuple[int, Due, Firing]] = []
        for place, each in enumerate(due):
            try:
                fires.append((place, each, self._decided(each, now)))
                done.append(Fired(each.name, ""))
            except JobdError as error:
                done.append(Fired(each.name, "unusable", why=str(error)))
        replies = run_many(self._client, [self._firing(each, firing) for _, each, firing in fires])
        for (place, each, firing), (word, *added) in zip(fires, replies, strict=True):
            done[place] = Fired(
                each.name, word.decode(), tuple(firing.slots), firing.late, firing.missed,
                jobs=int(added[0]) if added else 0, next=firing.next,
            )  # fmt: skip
        return done

    def _firing(self, due: Due, firing: Firing) -> Command:
        jobs: list[str | int] = []
        for slot in firing.slots:
            jobs += [job_id(due.name, slot), slot]
        upcoming = _NEVER if firing.next is None else firing.next
        return self._call(
            "schedule_fire", due.name, due.slot, due.version, upcoming, firing.missed, *jobs
        )

    def _decided(self, due: Due, now: int) -> Firing:
        check_name(due.name, what="schedule: name")
        slots = recorded_slots(due.cron, due.tz, due.every_ms)
        floor = self._floor_of(due.name)
        return decide(slots, due=due.slot, now=now, missed=due.missed, floor=floor)

    def fire_due(self) -> Round:
        """Fire all that is due. Raises StoreFull."""
        done: list[Fired] = []
        stuck = 0
        for _ in range(_MOST_LOOKS):
            now, soonest, due = self.look(stuck)
            fired = self.fire(due, now)
            done += fired
            stuck += sum(each.word in ("undeclared", "unusable") for each in fired)
            if len(due) < PAGE:
                break
        upcoming = [at for at in (soonest, *(each.next for each in done)) if at is not None]
        wait = min(upcoming) - now if upcoming else None
        more = len(due) == PAGE
        # Where some were passed over, others may have slipped past with them, as they were removed.
        return Round(done, now, 0 if more else wait, not more and not (stuck and len(done) > PAGE))

    def add_now(self, name: str, new_id: str) -> tuple[NewJob, bytes] | None:
        """Add its job now, beside its slots; give it, and the word that adding was answered with.

        None when there is no such schedule.
        """
        score, fields = self._read(name)
        if score is None:
            return None
        expires = whole(fields.get("expires", ""))
        job = NewJob(
            new_id,
            fields.get("task", "?"),
            fields.get("args", "{}").encode(),
            whole(fields.get("priority", "5")),
            f"x+{expires}" if expires else "",
            fields.get("options", "").encode(),
        )
        if lock := fields.get("lock"):
            job = JobOnTerms.of(job, Terms(lock=lock))
        [word] = Store(self._client, self._namespace, self._queue, now=self._now).add_once([job])
        return job, word

    def get(self, name: str) -> ScheduleInfo | None:
        """Read one, or None."""
        score, fields = self._read(name)
        return None if score is None else info_of(self._queue, name, score, fields)

    def _read(self, name: str) -> tuple[float | None, dict[str, str]]:
        with translated(place_of(self._client)):

            def ask(pipe: Any) -> None:
                pipe.zscore(self.keys.schedules, name)
                pipe.hgetall(self.keys.schedule_prefix + name)

            score, record = read_together(self._client, ask)
        return score if isinstance(score, int | float) else None, fields_of(record)

    def all(self) -> list[ScheduleInfo]:
        """Read all, by name."""
        rows = self._pipelined(lambda pipe, key: pipe.hgetall(key))
        return [
            info_of(self._queue, name, score, fields_of(raw)) for name, score, raw in sorted(rows)
        ]

    def mentions(self) -> dict[str, Mention]:
        """Read of each schedule who declared it, and when."""
        names = ("declared_at", "origin")
        rows = self._pipelined(lambda pipe, key: pipe.hmget(key, *names))
        found = {}
        for name, _, raw in rows:
            at, origin = map(text, raw if isinstance(raw, list) else (None, None))
            found[name] = Mention(at, origin == DECLARED)
        return found

    def _pipelined(self, ask: Any) -> list[tuple[str, float, Any]]:
        with translated(place_of(self._client)):
            rows: Any = self._client.zrange(self.keys.schedules, 0, -1, withscores=True)
            # Whatever else a stranger put there names no schedule.
            named = [(name.decode(), score) for name, score in rows if is_name(name)]
            pipe = self._client.pipeline(transaction=False)
            for name, _ in named:
                ask(pipe, self.keys.schedule_prefix + name)
            records: list[Any] = pipe.execute(raise_on_error=False) if named else []
        return [(name, score, raw) for (name, score), raw in zip(named, records, strict=True)]

    def time(self) -> int:
        """Read the store's clock, in ms since 1970."""
        return store_ms(self._client) if self._now is None else self._now

    def _word(self, script: str, *args: str) -> str:
        return str(run(self._client, self._call(script, *args))[0].decode())

    def _call(self, name: str, *args: str | bytes | int) -> Command:
        script = SCRIPTS[name]
        keys = [getattr(self.keys, key) for key in script.keys]
        return script.command(keys, "" if self._now is None else self._now, *args)
