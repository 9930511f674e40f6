"""A host with queues in virtual time: jobs come, processes work them off, and jobd decides how many.

Nothing here imitates jobd: it is the machine around the pure decision - arrivals, jobs that take their
time, processes that need a moment to start and finish their jobs before they end.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from jobd.supervisor.pace import Pace, Sight, after, mean_over
from jobd.supervisor.scale import Decision, Load, Past, decide

LOOK = 0.25
BOOT = 0.3


@dataclass(eq=False, order=False)
class Process:
    ready_at: float
    running: int = 0
    leaves: bool = False


@dataclass
class Crowd:
    """One queue. `arrivals` are instants, ascending; `takes` gives how long the next job runs."""

    name: str
    arrivals: Iterator[float]
    takes: Iterator[float]
    least: int = 1
    most: int = 8
    within: float = 60.0
    weight: int = 1
    cells: int = 1
    paused: bool = False
    limited: bool = False
    known: bool = True
    asked: int | None = None
    target: int = 0
    past: Past = field(default_factory=Past)
    pace: Pace = field(default_factory=Pace)
    processes: list[Process] = field(default_factory=list)
    waiting: deque[float] = field(default_factory=deque)
    order: Iterator[int] = field(default_factory=itertools.count)
    ends: list[tuple[float, int, Process]] = field(default_factory=list)
    coming: float = math.inf
    settled: int = 0
    unseen: int = 0
    waits: bool = False
    longest: float = 0.0
    changes: list[tuple[float, int]] = field(default_factory=list)
    peak: int = 0
    why: str = ""
    drained_at: float = 0.0

    def __post_init__(self) -> None:
        self.target = self.target or self.least
        self.processes = [Process(0.0) for _ in range(self.target)]
        self.coming = next(self.arrivals, math.inf)

    def staff(self) -> list[Process]:
        return [p for p in self.processes if not p.leaves]

    def run(self, until: float) -> None:
        """Let everything happen up to an instant."""
        while True:
            at = min(self.coming, self.ends[0][0] if self.ends else math.inf)
            if at > until:
                break
            if at == self.coming:
                self.waiting.append(at)
                self.coming = next(self.arrivals, math.inf)
            else:
                _, _, process = heapq.heappop(self.ends)
                process.running -= 1
                self.settled += 1
                self.unseen += 1
                if process.leaves and not process.running:
                    self.processes.remove(process)
            self.take(at)
        self.take(until)
        if self.waiting:
            self.drained_at = until

    def take(self, at: float) -> None:
        for process in self.processes:
            while (
                self.waiting and process.running < self.cells and not process.leaves
                and process.ready_at <= at and not self.paused and not self.limited
            ):  # fmt: skip
                came = self.waiting.popleft()
                self.longest = max(self.longest, at - came)
                process.running += 1
                heapq.heappush(self.ends, (at + next(self.takes), next(self.order), process))

    def look(self, now: float) -> None:
        staff = self.staff()
        sight = Sight(
            working=sum(1 for p in staff if p.running), cells=self.cells,
            busy=sum(p.running for p in staff), settled=self.unseen,
        )  # fmt: skip
        self.unseen = 0
        self.pace = after(self.pace, sight, now, waits=self.waits, over=mean_over(self.within))

    def load(self, now: float) -> Load:
        staff = self.staff()
        return Load(
            queue=self.name, least=self.least, most=self.most, within=self.within, weight=self.weight,
            target=self.target, ready=sum(1 for p in staff if p.ready_at <= now),
            leaving=len(self.processes) - len(staff), cells=self.cells,
            busy=sum(p.running for p in staff), used=self.pace.used, rate=self.pace.rate(self.cells),
            due=len(self.waiting) if self.known else None,
            oldest=now - self.waiting[0] if self.waiting else 0.0,
            paused=self.paused, limited=self.limited, asked=self.asked, past=self.past,
        )  # fmt: skip

    def obey(self, decision: Decision, now: float) -> None:
        if decision.target != self.target:
            self.changes.append((now, decision.target))
        self.target, self.past, self.why = decision.target, decision.past, decision.why
        self.peak = max(self.peak, self.target)
        while len(self.staff()) < self.target:
            self.processes.append(Process(now + BOOT))
        surplus = len(self.staff()) - self.target
        for process in sorted(self.staff(), key=lambda p: p.running)[: max(0, surplus)]:
            process.leaves = True
            if not process.running:
                self.processes.remove(process)


@dataclass
class Host:
    """Queues that share one machine's `max_processes`; 0 is no limit."""

    crowds: list[Crowd]
    most: int = 0
    now: float = 0.0

    def run(self, span: float) -> None:
        """Go on for so long, checking the laws at every decision."""
        until = self.now + span
        while self.now < until:
            self.now += LOOK
            for crowd in self.crowds:
                crowd.run(self.now)
                crowd.look(self.now)
            if self.now == int(self.now):
                self.decide()

    def decide(self) -> None:
        loads = [crowd.load(self.now) for crowd in self.crowds]
        decisions = decide(loads, most=self.most, now=self.now)
        for crowd, decision in zip(self.crowds, decisions, strict=True):
            crowd.waits = bool(crowd.waiting) and not crowd.paused and not crowd.limited
            crowd.obey(decision, self.now)
        self.check()

    def check(self) -> None:
        for crowd in self.crowds:
            if crowd.asked is None:
                assert crowd.least <= crowd.target <= crowd.most, crowd.why
            assert crowd.why
        if self.most:
            floors = sum(crowd.least for crowd in self.crowds)
            there = sum(len(crowd.processes) for crowd in self.crowds)
            assert there <= max(self.most, floors), [c.why for c in self.crowds]
