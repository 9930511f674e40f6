"""A random world in virtual time: it carries out a supervisor's actions badly, and checks the laws.

Nothing here imitates jobd: it is the machine around the pure step - processes that live, die, freeze
and come late, a keeper that acknowledges when it likes, messages that are lost or doubled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from jobd.seams.exits import Exit
from jobd.supervisor.fleet import Fleet, Helper, Policy, Slot, Stage, Stop
from jobd.supervisor.orders import (
    Action,
    Beat,
    Drain,
    EndHelper,
    Fenced,
    Fork,
    Forked,
    HelperExited,
    Kill,
    KillStray,
    Loaded,
    Look,
    Looked,
    Observation,
    Quit,
    Refused,
    Released,
    StartHelper,
    StopAsked,
    TakeBack,
    Ticked,
    Watch,
    WorkerExited,
)
from jobd.supervisor.settle import next_deadline
from jobd.supervisor.step import step

POLICY = Policy(lease=3.0, drain_timeout=5.0, fork_grace=4.0)
APP = "preloader shop:app"


def new_fleet(slots: int = 3, pages: int = 9, policy: Policy = POLICY) -> Fleet:
    names = [f"q.{n}" for n in range(1, slots + 1)]
    return Fleet(
        policy=policy,
        nonce="n" * 16,
        board="board",
        slots={name: Slot(name=name, queue="q", helper=APP) for name in names},
        helpers={"keeper": Helper(name="keeper"), APP: Helper(name=APP, app="shop:app")},
        dead={},
        free=tuple(range(pages)),
    )


@dataclass
class Process:
    slot: str
    page: int
    pid: int
    drains: bool = False
    doomed: bool = False
    frozen: bool = False
    over: bool = False


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
    exited: set[str] = field(default_factory=set)
    watched: set[str] = field(default_factory=set)
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
                assert self.fleet.stop is not Stop.NO
                assert action.helper in self.helpers
            case Fork():
                assert self.fleet.stop is Stop.NO, "a fork while draining"
                assert action.page not in self.page_owner, "a page handed out twice"
                # One that was given up unborn may still turn up: it is killed when it does.
                known = [self.processes[n] for n in self.watched if n in self.processes]
                assert action.slot not in {p.slot for p in known}, "two children in a slot"
                self.page_owner[action.page] = action.incarnation
                self.ordered[action.incarnation] = action
            case Drain():
                assert action.incarnation not in self.soft, "told to drain twice"
                self.soft.add(action.incarnation)
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].drains = True
            case Kill():
                assert action.incarnation not in self.killed, "killed twice"
                self.killed.add(action.incarnation)
                if action.cause == "stopped" and self.fleet.stop is Stop.DRAIN:
                    held = self.processes.get(action.incarnation)
                    assert action.incarnation in self.soft or (held and held.frozen), "no soft kill"
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].doomed = True
            case KillStray():
                assert self.fleet.slot_of(action.incarnation) is None
                if action.incarnation in self.processes:
                    self.processes[action.incarnation].doomed = True
            case TakeBack():
                owner = self.page_owner.pop(action.page)
                assert owner not in self.fleet.dead
                slot = self.fleet.slot_of(owner)
                assert slot is None or slot.stage is Stage.VACANT
            case Quit():
                self.quits += 1
                assert all(s.stage is Stage.VACANT for s in self.fleet.slots.values())
            case Watch():
                assert action.incarnation not in self.watched
                self.watched.add(action.incarnation)
            case _:
                pass

    def _laws(self) -> None:
        fleet = self.fleet
        live = [s for s in fleet.slots.values() if s.stage is not Stage.VACANT]
        assert len({s.incarnation for s in live}) == len(live)
        held = [s.page for s in live] + [d.page for d in fleet.dead.values()]
        assert sorted([*held, *fleet.free]) == list(range(len(held) + len(fleet.free)))
        assert self.quits <= 1
        deadline = next_deadline(fleet)
        assert deadline > self.now or self.quits or self._due_now_is_blocked(), deadline

    def _due_now_is_blocked(self) -> bool:
        # Told exactly at the drain's end: the kill needs a later instant.
        told = [s for s in self.fleet.slots.values() if s.told_at == self.now]
        return bool(told) and self.now >= self.fleet.drain_by

    # --- what happens in it ---

    def happen(self) -> None:
        """Let one random thing happen, after a random while."""
        self.now += self.rng.choice((0.001, 0.05, 0.25, 0.25, 1.0))
        kind = self.rng.choice(
            ("tick", "look", "look", "birth", "birth", "refuse", "die", "doom", "doom", "up", "up",
             "helper", "release", "release", "fence", "freeze", "overrun", "echo", "lost")
        )  # fmt: skip
        getattr(self, f"_{kind}")()

    def _pick(self, among: object) -> str | None:
        names = sorted(among)  # type: ignore[call-overload]
        return self.rng.choice(names) if names else None

    def _tick(self) -> None:
        self.see(Ticked())

    def _look(self) -> None:
        known = {s.incarnation for s in self.fleet.slots.values() if s.incarnation}
        known |= {d.incarnation for d in self.fleet.dead.values() if d.unborn}
        looks = tuple(
            Look(
                name, p.pid, joined=True, fenced=False,
                over=frozenset({(f"job-{name}", 1)}) if p.over else frozenset(), frozen=p.frozen,
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
        if self.fleet.slot_of(name) is None:
            return  # a stray: nobody waits for it
        if self.fleet.slot_of(name).stage is Stage.FORKING:  # type: ignore[union-attr]
            self.see(Forked(name, process.pid))  # its zombie is found when its pid becomes known
        self.exited.add(name)
        self.see(WorkerExited(name, how, settled=self.rng.choice((0, 3))))

    def _die(self) -> None:
        if name := self._pick(self.processes):
            self._end(name, self.rng.choice((Exit(code=1), Exit(signal=11), Exit(code=0))))

    def _doom(self) -> None:
        if name := self._pick(n for n, p in self.processes.items() if p.doomed or p.drains):
            doomed = self.processes[name].doomed
            self._end(name, Exit(signal=9) if doomed else Exit(code=0))

    def _up(self) -> None:
        if name := self._pick(self.helpers):
            self.see(Beat(name) if name == "keeper" else Loaded(name, ("q",)))

    def _helper(self) -> None:
        name = self._pick(self.helpers)
        if name and (self.fleet.helpers[name].ever_up or self.fleet.stop is not Stop.NO):
            self.helpers.discard(name)
            self.see(HelperExited(name, Exit(code=1)))

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
