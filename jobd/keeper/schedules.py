"""Duty: schedules are declared, fired when they are due, and taken away when nobody wants them.

There is no leader. Each host's keeper looks at every queue of the namespace; what is due by Redis'
clock is fired by whoever comes first, since firing is a compare-and-set. Each declares what its own
code and file say, again and again: a word that was lost, or a store that was flushed, heals itself.

- **Nothing fires twice after Redis went back.** A store restored from an older copy, or flushed,
  knows less than its hosts. So a keeper remembers Redis' time of its last look: all slots up to that
  are decided on, by whatever host, and none of them fires.
- **A schedule goes when no host declares it.** A keeper removes one that it has seen undeclared for
  ten minutes of its own monotonic time, over one connection: then a clock that was set, or a night
  in which all hosts were down, removes nothing. One that was put by a program stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from jobd.broker.schedules import DECLARED, Fired, Round, ScheduleStore
from jobd.core.errors import ConfigError, OptionError
from jobd.core.events import Event
from jobd.core.schedule import job_id
from jobd.core.schedule_events import (
    ScheduleDeclared,
    ScheduleFired,
    ScheduleGone,
    ScheduleMissed,
    ScheduleUnusable,
)
from jobd.keeper.declarations import Declarations, Saying

FloorOf = Callable[[str], int]

LOOK_EVERY = 1.0
BITE = 25  # schedules that are declared between two rounds of the other duties
DECLARE_EVERY = 60.0
GONE_AFTER = 600.0


class Floor:
    """Up to where the schedules of a queue are decided on: all together, and those that lag behind."""

    def __init__(self) -> None:
        self._all = 0
        self._behind: dict[str, int] = {}

    def of(self, name: str) -> int:
        """Give one schedule's, in ms of Redis' clock."""
        return self._behind.get(name, self._all)

    def after(self, looked: Round) -> None:
        """Note what a round has decided on. Another host, that was first, has decided on less perhaps:
        it may have looked long before."""
        if looked.is_whole:
            undecided = [each.name for each in looked.fired if each.word != "fired"]
            self._behind = {name: self.of(name) for name in undecided}
            self._all = max(self._all, looked.now)


class Scheduler:
    """The schedules of a namespace, as one host sees them. Times are monotonic seconds."""

    def __init__(
        self,
        *,
        store: Callable[[str, FloorOf], ScheduleStore],
        register: Callable[[Iterable[str]], None],
        declarations: Declarations,
        emit: Callable[[Event], None],
    ) -> None:
        """`store` gives a queue's schedules above a floor; `register` makes queues known to every host."""
        self._make_store = store
        self.on_call: Callable[[], object] = lambda: None
        """Called before each call of Redis: there may be one for each of many queues."""
        self._register = register
        self._declarations = declarations
        self._emit = emit
        self._floors: dict[str, Floor] = {}
        self._silent: dict[tuple[str, str], tuple[str, float]] = {}
        self._told: set[tuple[str, str]] = set()
        self._stamp: object = None
        self._hear_at = 0.0
        self._unsaid: deque[Saying] = deque()
        self._declare_at = 0.0
        self._sweep_at = 0.0
        self._look_at: dict[str, float] = {}

    def forget(self) -> None:
        """Begin anew with what was seen of others, after the connection broke; and look at once."""
        self._silent.clear()
        self._look_at.clear()
        self._declare_at = 0.0

    def work(self, queues: Iterable[str], now: float) -> None:
        """Do what is due. Raises BrokerError; StoreFull when Redis takes no job."""
        if now >= self._hear_at:
            self._hear_at = now + LOOK_EVERY
            stamp = self._declarations.stamp()
            if now >= self._declare_at or stamp != self._stamp:
                self._unsaid = deque(self._declarations.read())
                self._stamp, self._declare_at = stamp, now + DECLARE_EVERY
        self.declare(now)
        for queue in queues:
            if now >= self._look_at.get(queue, 0.0):
                self._look_at[queue] = now + LOOK_EVERY
                wait = self.fire(queue)
                if wait is not None:
                    self._look_at[queue] = now + min(LOOK_EVERY, max(0, wait) / 1000)
        if now >= self._sweep_at:
            self._sweep_at = now + DECLARE_EVERY
            for queue in queues:
                self.sweep(queue, now)

    def declare(self, now: float) -> None:
        """Say some of what this host's code and file say: other duties wait meanwhile."""
        said = [self._unsaid.popleft() for _ in range(min(BITE, len(self._unsaid)))]
        if said:
            self._register({saying.queue for saying in said})
        for queue, schedule, loaded_at in said:
            age = round(max(0.0, now - loaded_at) * 1000)
            try:
                how = self._store(queue).put(schedule, origin=DECLARED, age_ms=age)
            except (OptionError, ConfigError) as error:  # a zone that is not there any more
                self._say_unusable(queue, Fired(schedule.name, "unusable", why=str(error)))
                continue
            if how in ("created", "changed"):
                self._emit(ScheduleDeclared(schedule=schedule.name, queue=queue, how=how))

    def fire(self, queue: str) -> int | None:
        """Fire what is due on a queue; give in how many ms the next one is due, None for none."""
        looked = self._store(queue).fire_due()
        for each in looked.fired:
            if each.word == "unusable":
                self._say_unusable(queue, each)
            elif each.word == "fired":
                self._say_fired(queue, each)
        self._floors[queue].after(looked)
        return looked.wait

    def sweep(self, queue: str, now: float) -> None:
        """Take away what nobody has declared for long."""
        store = self._store(queue)
        mentions = store.mentions()
        for name, mention in mentions.items():
            known = (queue, name)
            seen = self._silent.get(known)
            if not mention.is_declared or seen is None or seen[0] != mention.declared_at:
                self._silent[known] = (mention.declared_at, now)
            elif now - seen[1] >= GONE_AFTER and store.remove(name, seen=seen[0]) == "removed":
                self._emit(ScheduleGone(schedule=name, queue=queue))
        gone = [known for known in self._silent if known[0] == queue and known[1] not in mentions]
        for known in gone:
            del self._silent[known]

    def _store(self, queue: str) -> ScheduleStore:
        self.on_call()
        return self._make_store(queue, self._floors.setdefault(queue, Floor()).of)

    def _say_fired(self, queue: str, fired: Fired) -> None:
        if fired.slots:
            slot = job_id("", fired.slots[-1]).removeprefix(":")
            self._emit(
                ScheduleFired(
                    schedule=fired.name,
                    queue=queue,
                    slot=slot,
                    slots=len(fired.slots),
                    jobs=fired.jobs,
                )
            )
        if fired.missed:
            self._emit(
                ScheduleMissed(schedule=fired.name, queue=queue, slots=fired.missed, run=fired.late)
            )

    def _say_unusable(self, queue: str, fired: Fired) -> None:
        if (queue, fired.name) not in self._told:
            self._told.add((queue, fired.name))
            self._emit(ScheduleUnusable(schedule=fired.name, queue=queue, why=fired.why))
