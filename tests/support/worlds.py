"""A random world in virtual time: it carries out a supervisor's actions badly, and checks the laws.

Nothing here imitates jobd: it is the machine around the pure step - processes that live, die, freeze
and come late, a keeper that acknowledges when it likes, messages that are lost or doubled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from jobd.seams.exits import Exit
from jobd.supervisor.demand import Bounds, Waiting
from jobd.supervisor.fleet import (
    SERVICES,
    Child,
    Fleet,
    Helper,
    Plan,
    Policy,
    Queue,
    Role,
    Stage,
    Stop,
)
from jobd.supervisor.layout import MOST_LEAVERS, lay_out
from jobd.supervisor.memory import Limits, Reading
from jobd.supervisor.orders import (
    Action,
    Answer,
    Beat,
    Counted,
    Drain,
    Dump,
    Dumped,
    EndHelper,
    Fenced,
    Fork,
    Forked,
    HelperExited,
    Kill,
    KillStray,
    Loaded,
    LoadFailed,
    Look,
    Looked,
    Observation,
    PlanRead,
    PlanRefused,
    Quit,
    RecycleAsked,
    Refused,
    Released,
    ReloadAsked,
    Remind,
    ScaleAsked,
    StartHelper,
    StopAsked,
    TakeBack,
    Ticked,
    Watch,
    WorkerExited,
)
from jobd.supervisor.settle import next_deadline
from jobd.supervisor.step import step

POLICY = Policy(lease=3.0, drain_timeout=5.0, fork_grace=4.0, hang_after=9.0)
APP = "preloader shop:app"
NO_LIMITS = Limits()
BOTH = ("web", "alerter")


def new_fleet(
    slots: int = 3,
    pages: int = 9,
    policy: Policy = POLICY,
    limits: Limits = NO_LIMITS,
    services: tuple[str, ...] = BOTH,
) -> Fleet:
    fleet = Fleet(
        policy=policy,
        nonce="n" * 16,
        board="board",
        queues={
            "q": Queue(
                name="q",
                helper=APP,
                target=slots,
                bounds=bounds(slots, elastic=True),
                limits=limits,
            )
        },
        helpers={
            "keeper": Helper(name="keeper", role=Role.KEEPER),
            APP: Helper(name=APP, app="shop:app"),
            **services_of(services),
        },
        dead={},
        free=tuple(range(pages)),
    )
    lay_out(fleet, 0.0)
    return fleet


def bounds(slots: int, *, elastic: bool) -> Bounds:
    return (
        Bounds(least=1, most=slots + 2, within=2.0) if elastic else Bounds(least=slots, most=slots)
    )


def services_of(names: tuple[str, ...]) -> dict[str, Helper]:
    return {name: Helper(name=name, role=Role(name)) for name in names}


def new_plan(
    attempt: int,
    queues: dict[str, int],
    policy: Policy = POLICY,
    services: tuple[str, ...] = (),
) -> Plan:
    """Make what a reload asks for: so many processes of these queues, and these services."""
    name = f"{APP} #{attempt}"
    return Plan(
        policy=policy,
        settings=repr((sorted(queues.items()), services)),
        services=services_of(services),
        queues={
            q: Queue(name=q, helper=name, target=n, bounds=bounds(n, elastic=n == 2))
            for q, n in queues.items()
        },
        preloaders={name: Helper(name=name, app="shop:app")},
    )


@dataclass
class Process:
    slot: str
    page: int
    pid: int
    stamp: str = ""
    ran: int = 0
    stuck_at: float = 0.0  # its loop has not turned since
    drains: bool = False
    doomed: bool = False
    frozen: bool = False
    over: bool = False
    private: int = 6_000_000


@dataclass
class World:
    rng: random.Random
    fleet: Fleet = field(default_factory=new_fleet)
    now: float = 1000.0
    processes: dict[str, Process] = field(default_factory=dict)
    ordered: dict[str, Fork] = field(default_factory=dict)
    helpers: set[str] = field(default_factory=set)
    page_owner: dict[int, str] = field(default_factory=dict)
    soft: set[str] = field(default_factory=set)
    killed: set[str] = field(default_factory=set)
    dumped: list[str] = field(default_factory=list)
    ill: set[str] = field(default_factory=set)  # helpers that are killed for standing still
    exited: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)
    asking: list[int] = field(default_factory=list)
    clients: int = 0
    quits: int = 0
    pids: int = 100
    steps: int = 0

    # --- the machine ---

    def see(self, seen: Observation) -> list[Action]:
        before = self.fleet
        image = before.copy()
        self.fleet, actions = step(before, seen, self.now)
        assert before == image, "step changed the fleet it was given"
        self.steps += 1
        for action in actions:
            self._carry_out(action)
        self._laws()
        again, more = step(self.fleet, Ticked(), self.now)
        assert not more, f"a tick at the same instant did {more}"
        assert again == self.fleet
        return actions

    def _carry_out(self, action: Action) -> None:  # noqa: C901 - one law a kind
        assert not self.quits, f"{action} after the end"
        match action:
            case StartHelper():
                assert action.helper not in self.helpers
                self.helpers.add(action.helper)
            case EndHelper():
                helper = self.fleet.helpers[action.helper]
                leaves = helper.retired or helper.outdated or helper.condemned
                assert self.fleet.stop is not Stop.NO or leaves, "a helper in use was ended"
                assert action.helper in self.helpers
                if helper.role in SERVICES and not leaves:
                    assert not self.fleet.children, "a service was ended before the last worker"
                if helper.condemned and not helper.told:
                    assert action.helper in self.dumped, "killed before it could say where it is"
                    self.ill.add(action.helper)
            case Dump():
                self.dumped.append(action.who)
                if action.why != "SIGUSR1" and self.rng.random() < 0.5:
                    self.answers.append(action.who)
            case Fork():
                assert self.fleet.stop is Stop.NO, "a fork while draining"
                assert action.page not in self.page_owner, "a page handed out twice"
                # One that was given up unborn may still turn up: it is killed when it does.
                filling = [
                    child
                    for child in self.fleet.children.values()
                    if child.slot == action.slot and not child.leaving
                ]
                assert [c.incarnation for c in filling] == [action.incarnation], "two in a slot"
                assert action.helper in self.helpers
                self.page_owner[action.page] = action.incarnation
                self.ordered[action.incarnation] = action
            case Drain():
                assert action.incarnation not in self.soft, "told to drain twice"
                self.soft.add(action.incarnation)
                self._law_of_succession(self.fleet.children[action.incarnation])
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].drains = True
            case Remind():
                assert action.incarnation in self.soft, "reminded of what it was not told"
            case Kill():
                assert action.incarnation not in self.killed, "killed twice"
                self.killed.add(action.incarnation)
                if action.cause in ("hung", "boot"):
                    assert self.dumped.count(action.incarnation) == 1
                    assert self.processes[action.incarnation].stuck_at, "it had turned"
                if action.cause == "stopped" and self.fleet.stop is Stop.DRAIN:
                    held = self.processes.get(action.incarnation)
                    assert action.incarnation in self.soft or (held and held.frozen), "no soft kill"
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].doomed = True
            case KillStray():
                assert action.incarnation not in self.fleet.children
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].doomed = True
            case TakeBack():
                owner = self.page_owner.pop(action.page)
                assert owner not in self.fleet.dead
                assert owner not in self.fleet.children
            case Answer():
                self.asking.remove(action.client)
            case Quit():
                self.quits += 1
                assert not self.fleet.children
                assert not self.asking, "somebody waits for an answer"
            case Watch():
                assert action.incarnation not in self.watched
                self.watched.add(action.incarnation)
            case _:
                pass

    def _laws(self) -> None:
        fleet = self.fleet
        held = [c.page for c in fleet.children.values()] + [d.page for d in fleet.dead.values()]
        assert sorted([*held, *fleet.free]) == list(range(len(held) + len(fleet.free)))
        assert self.quits <= 1
        if fleet.stop is Stop.NOW:
            assert all(child.killed for child in fleet.children.values()), "somebody is waited for"
        self._laws_of_leaving()
        deadline = next_deadline(fleet)
        assert deadline > self.now or self.quits or self._due_now_is_blocked(), deadline

    def _laws_of_leaving(self) -> None:
        fleet = self.fleet
        filling = {slot.child for slot in fleet.slots.values() if slot.child}
        assert filling <= set(fleet.children)
        for name, child in fleet.children.items():
            assert (name in filling) is not bool(child.leaving), "neither in a slot nor leaving"
        reloading = [c.slot for c in fleet.children.values() if c.leaving == "reload" and c.joined]
        assert all(reloading.count(slot) <= MOST_LEAVERS for slot in reloading)

    def _law_of_succession(self, child: Child) -> None:
        slot = self.fleet.slots.get(child.slot)
        if self.fleet.stop is Stop.NO and child.joined and slot is not None:
            successor = self.fleet.child_in(slot)
            assert successor is not None, "sent away before its successor was there"
            assert successor.joined

    def _due_now_is_blocked(self) -> bool:
        # Told exactly at the drain's end: the kill needs a later instant.
        told = [c for c in self.fleet.children.values() if c.told_at == self.now]
        return bool(told) and self.now >= self.fleet.drain_by

    # --- what happens in it ---

    def happen(self) -> None:
        """Let one random thing happen, after a random while."""
        self.now += self.rng.choice((0.001, 0.05, 0.25, 0.25, 1.0))
        kind = self.rng.choice(
            ("tick", "look", "look", "birth", "birth", "refuse", "die", "doom", "doom", "up", "up",
             "helper", "release", "release", "fence", "freeze", "overrun", "echo", "lost",
             "work", "work", "swell", "stick", "dumped", "reload", "plan", "plan", "recycle",
             "count", "count", "scale")
        )  # fmt: skip
        getattr(self, f"_{kind}")()

    def _pick(self, among: object) -> str | None:
        names = sorted(among)  # type: ignore[call-overload]
        return self.rng.choice(names) if names else None

    def _tick(self) -> None:
        self.see(Ticked())

    def _look(self) -> None:
        known = set(self.fleet.children)
        known |= {d.incarnation for d in self.fleet.dead.values() if d.unborn}
        looks = tuple(
            Look(
                name, p.pid, joined=True, fenced=False,
                over=frozenset({(f"job-{name}", 1)}) if p.over else frozenset(), frozen=p.frozen,
                ran=p.ran, busy=0 if p.stuck_at else p.ran % 2, beat=p.stuck_at or self.now,
                asked=p.stuck_at or self.now, draining=p.drains,
                memory=Reading(rss=p.private, private=p.private, shared=0),
            )
            for name, p in self.processes.items() if name in known
        )  # fmt: skip
        self.see(Looked(looks))

    def _birth(self) -> None:
        if name := self._pick(self.ordered):
            order = self.ordered.pop(name)
            self.pids += 1
            self.processes[name] = Process(order.slot, order.page, self.pids)
            if self.rng.random() < 0.8:  # else the message is lost, and the page must tell
                self.see(Forked(name, self.pids))

    def _refuse(self) -> None:
        if name := self._pick(self.ordered):
            del self.ordered[name]
            self.see(Refused(name, "no memory"))

    def _lost(self) -> None:
        if name := self._pick(self.ordered):
            del self.ordered[name]

    def _end(self, name: str, how: Exit) -> None:
        process = self.processes.pop(name)
        child = self.fleet.children.get(name)
        if child is None:
            return  # a stray: nobody waits for it
        if child.stage is Stage.FORKING:
            self.see(Forked(name, process.pid))  # its zombie is found when its pid becomes known
        self.exited.add(name)
        self.see(WorkerExited(name, how, ran=process.ran))

    def _die(self) -> None:
        if name := self._pick(self.processes):
            self._end(name, self.rng.choice((Exit(code=1), Exit(signal=11), Exit(code=0))))

    def _doom(self) -> None:
        if name := self._pick(n for n, p in self.processes.items() if p.doomed or p.drains):
            doomed = self.processes[name].doomed
            self._end(name, Exit(signal=9) if doomed else Exit(code=0))

    def _up(self) -> None:
        name = self._pick(n for n in self.helpers if not n.startswith("reader"))
        if name:
            code = self.rng.choice(("one", "one", "two"))
            self.speak(name, code)

    def speak(self, name: str, code: str = "one") -> None:
        """Have a helper say what it says when it is well."""
        turns = int(self.now) if name == "keeper" else None
        beats = name == "keeper" or name in BOTH
        self.see(Beat(name, turns, turns) if beats else Loaded(name, ("q",), code))

    def _stick(self) -> None:
        if name := self._pick(self.processes):
            self.processes[name].stuck_at = self.now

    def _dumped(self) -> None:
        if self.answers:
            self.see(Dumped(self.answers.pop()))

    def _work(self) -> None:
        if name := self._pick(self.processes):
            self.processes[name].ran += 1

    def _swell(self) -> None:
        if name := self._pick(self.processes):
            self.processes[name].private += self.rng.randrange(100_000_000)

    def _reload(self) -> None:
        client = self.clients = self.clients + 1
        self.asking.append(client)
        self.see(ReloadAsked(self.rng.random() < 0.3, client))

    def _plan(self) -> None:
        """The reader or a preloader of a reload has something to say."""
        fresh = [n for n in self.helpers if n in self.fleet.helpers and self.fleet.helpers[n].fresh]
        services = self.rng.choice(((), ("web",), BOTH, BOTH))
        name = self._pick(fresh)
        if name is None:
            return
        if self.rng.random() < 0.2:
            self.see(LoadFailed(name, "it does not load"))
        elif not name.startswith("reader"):
            self.see(Loaded(name, ("q",), self.rng.choice(("one", "two"))))
        elif self.rng.random() < 0.2:
            self.see(PlanRefused("no app"))
        else:
            queues = self.rng.choice(({"q": 3}, {"q": 2}, {"q": 1, "r": 2}))
            self.see(PlanRead(new_plan(self.fleet.reload.attempt, queues, services=services)))

    def _recycle(self) -> None:
        client = self.clients = self.clients + 1
        self.asking.append(client)
        self.see(RecycleAsked(self._pick(self.fleet.slots) or "q.1", client))

    def _count(self) -> None:
        """The keeper has counted; or Redis has not answered it."""
        busy = self.rng.random() < 0.5
        waiting = Waiting(
            due=self.rng.choice((1, 50)) if busy else 0, paused=self.rng.random() < 0.1
        )
        known = self.rng.random() < 0.9
        self.see(Counted(known, {"q": waiting, "unknown": waiting} if known else {}))
        self._laws_of_numbers()

    def _scale(self) -> None:
        client = self.clients = self.clients + 1
        self.asking.append(client)
        if self.rng.random() < 0.3:
            self.see(ScaleAsked(by=self.rng.choice((1, -1))))
        to, by = self.rng.choice(((1, None), (4, None), (None, 1), (None, -1), (None, None)))
        self.see(ScaleAsked(self.rng.choice(("q", "q", "r")), to, by, client))
        self._laws_of_numbers()

    def _laws_of_numbers(self) -> None:
        for queue in self.fleet.queues.values():
            if self.fleet.stop is Stop.NO:
                assert len(self.fleet.slots_of(queue.name)) == queue.target
            assert queue.target >= 1
            if queue.scaling.asked is None:
                assert queue.target <= queue.bounds.most

    def _helper(self) -> None:
        self._tick()  # what this instant has in store anyway
        name = self._pick(self.helpers)
        if name is None:
            return
        helper = self.fleet.helpers[name]
        needless = helper.ever_up or helper.fresh or helper.retired or helper.role in SERVICES
        if needless or self.fleet.stop is not Stop.NO:
            self.helpers.discard(name)
            self.ill.discard(name)
            before = dict(self.fleet.children)
            self.see(HelperExited(name, Exit(code=1)))
            if helper.role in SERVICES:
                assert self.fleet.children == before, "a worker felt the end of a service"

    def obey(self, helper: str) -> None:
        """Have a helper end that was killed."""
        self.helpers.discard(helper)
        self.ill.discard(helper)
        self.see(HelperExited(helper, Exit(signal=9)))

    def _release(self) -> None:
        if name := self._pick(self.fleet.dead):
            self.see(Released((name, "unknown.1")))

    def _fence(self) -> None:
        if name := self._pick(self.processes):
            self.see(Fenced((name,)))

    def _freeze(self) -> None:
        if name := self._pick(self.processes):
            self.processes[name].frozen = not self.processes[name].frozen

    def _overrun(self) -> None:
        if name := self._pick(self.processes):
            self.processes[name].over = not self.processes[name].over

    def _echo(self) -> None:
        """Say something about nobody, or again about somebody who ended."""
        name = self._pick(self.exited) or "unknown.2"
        self.see(WorkerExited(name, Exit(code=0)))
        self.see(Refused(name, "late"))

    def stop(self, *, now: bool) -> None:
        self.see(StopAsked(now=now))
