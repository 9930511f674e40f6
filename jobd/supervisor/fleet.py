"""What a supervisor knows: queues, slots, children, helpers and the dead, as data.

    Queue ── how many slots, and what is forked for them
      └ Slot ── a stable place, `email.2`; names the child that is to fill it
          └ Child ── one incarnation, from its fork order to its end

A child that its slot does not name any more is a *leaver*: it goes on with its jobs until its
successor has joined, is told to drain then, and nobody waits for it. So a worker is replaced without
a moment in which nobody works in its place.

Invariants: a slot has at most one child that is not a leaver; a page belongs to the incarnation it
was handed to until the keeper acknowledged its release; whoever is in `dead` is gone and not yet
acknowledged. Changed only by jobd.supervisor.step, read by the loop.
"""

from __future__ import annotations

import math
from enum import IntEnum, StrEnum

import msgspec

from jobd.supervisor.demand import Bounds, Scaling
from jobd.supervisor.growth import Grown
from jobd.supervisor.memory import Limits, Weight
from jobd.supervisor.progress import Doubt, Store, Voice

NEVER = math.inf


class Stage(StrEnum):
    """How far a child is."""

    FORKING = "forking"  # ordered from the preloader; its pid is not known yet
    RUNNING = "running"  # its pid is known


class Stop(IntEnum):
    """How far the daemon is on its way out. It only grows."""

    NO = 0
    DRAIN = 1  # running jobs may finish
    NOW = 2  # nothing is waited for


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The spans a supervisor goes by, in seconds."""

    lease: float
    drain_timeout: float
    backoff_base: float = 0.1
    backoff_cap: float = 60.0
    steady_after: float = 10.0
    look_every: float = 0.25  # between two looks at the scoreboard
    fork_grace: float = 30.0  # an order not carried out by then is given up
    orphan_grace: float = 1.0  # the same, once the preloader that had the order has ended
    ack_grace: float = 5.0  # for the keeper to release the dead when the daemon ends
    late_grace: float = 1.0  # the same, once the time of the drain is up
    helper_grace: float = 0.75  # for helpers to end by themselves
    service_grace: float = 5.0  # the same, for services while the daemon goes on
    load_attempts: int = 5  # of a helper that never came up, before the daemon gives up
    load_timeout: float = 60.0  # for preloaders, a reload's reader, and workers to begin
    max_processes: int = 0  # workers of this host in all; 0: any number
    hang_after: float = 30.0  # without progress; 0 for never


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """What is forked for one queue, how often, and how its starts have fared."""

    name: str
    helper: str
    target: int = 1  # slots it is to have
    cells: int = 1  # jobs a child runs at once
    spec: str = ""  # stands for its settings: children of another are outdated
    limits: Limits = Limits()
    useless: int = 0  # children in a row that ended without having run a job
    fork_at: float = 0.0  # none is forked before
    gave_up: bool = False  # forks are probes, one at a time
    bounds: Bounds = Bounds()  # how many it may have
    scaling: Scaling = Scaling()  # and how many it needs
    boot_timeout: float | None = None  # for its workers to begin; None: the daemon's


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One stable place for a worker, `email.2`."""

    name: str
    queue: str
    child: str = ""  # its incarnation; "" when the slot is vacant
    due: float = 0.0  # vacant: not before this
    failures: int = 0  # in a row
    swells: int = 0  # in a row: children over their memory limit as soon as they had joined
    forks: int = 0
    last_exit: str | None = None
    exits: dict[
        str, int
    ] = {}  # how many of its children ended for which cause; never changed in place


class Child(msgspec.Struct, frozen=True, kw_only=True):
    """One worker. `stamp` says of which code and settings it is."""

    incarnation: str
    slot: str
    queue: str
    helper: str
    page: int
    stamp: str = ""
    limits: Limits = Limits()
    fork: int = 1  # the slot's so manieth
    stage: Stage = Stage.FORKING
    pid: int = 0
    since: float = 0.0  # ordered at, then running since
    give_up_at: float = NEVER  # FORKING only
    joined: bool = False  # its page says it has left the boot
    joined_at: float = 0.0
    weight: Weight = Weight()
    grown: Grown | None = None  # the task it had grown by most when its memory was read
    ran: int = 0  # jobs it had run to an end when last looked at
    busy: int = 0  # cells in use, then
    leaving: str = ""  # why it is a leaver; "" when it is none
    told_at: float | None = None  # told to drain
    ran_till_told: int = 0  # jobs it had run by then
    killed: str = ""  # the cause, once SIGKILL was sent
    charged: tuple[str, ...] = ()  # the jobs a kill is blamed on
    over: frozenset[tuple[str, int]] = (
        frozenset()
    )  # (job, claim) over their deadline when looked at
    over_at: float = 0.0
    frozen_at: float | None = None  # in state T since
    doubt: Doubt = Doubt()  # whether it makes progress
    condemned: str = ""  # the cause for which it is killed when its stacks are known
    dump_by: float = NEVER  # or by then

    @property
    def works(self) -> bool:
        """It has a process that may go on working."""
        return self.stage is Stage.RUNNING and not self.killed


class Role(StrEnum):
    """What a helper is for."""

    KEEPER = "keeper"
    PRELOADER = "preloader"
    READER = "reader"  # reads the configuration again, for a reload
    WEB = "web"  # health, metrics and dashboard
    ALERTER = "alerter"  # rules, and who is told


# What serves people beside the work: it may end and hang without touching a worker.
SERVICES = (Role.WEB, Role.ALERTER)
# What reads the directory that the daemon was started in: the application, and maybe its configuration.
READS_THE_APP = (Role.PRELOADER, Role.READER)


class Helper(msgspec.Struct, frozen=True, kw_only=True):
    """A program of ours beside the workers. `app` and what follows it are a preloader's."""

    name: str
    role: Role = Role.PRELOADER
    app: str | None = None
    preload: bool = True
    code: str = ""  # stands for the application's code as it was loaded
    queues: tuple[str, ...] = ()  # those the application declares
    fresh: bool = False  # of a reload: it reads the configuration that is not in force yet
    outdated: bool = False  # to be ended, and started with the configuration in force
    retired: bool = False  # to be ended, and forgotten then
    running: bool = False
    up: bool = False  # loaded, or has beaten, since its start
    ever_up: bool = False
    since: float = 0.0
    down_at: float = 0.0  # when it was last up, or first started; 0: never
    due: float = 0.0
    failures: int = 0
    told: bool = False
    end_by: float = NEVER  # a service that was told: killed then
    killed: bool = False
    voice: Voice = Voice()  # what was heard of it
    condemned: str = ""  # as a child
    dump_by: float = NEVER
    last_exit: str | None = None


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """An ended worker the keeper has not released yet."""

    incarnation: str
    queue: str
    page: int
    board: str
    cause: str
    how: str = ""  # its exit in words, for the history of the jobs it ran
    charged: tuple[str, ...] = ()
    unborn: bool = False  # its fork was given up; should it turn up after all, it is killed


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration asks for. `settings` stands for all of it; `redis` is to be shown: the
    address without passwords."""

    policy: Policy
    settings: str
    queues: dict[str, Queue]
    preloaders: dict[str, Helper]
    services: dict[str, Helper] = {}
    adopt_queues_of: str | None = None
    redis: str = ""
    namespace: str = ""


class Reload(msgspec.Struct, frozen=True, kw_only=True):
    """A reload under way, what is to follow it, and how the last one ended.

    Clients are numbers of those who wait for an answer; `everything` replaces unchanged workers too.
    """

    number: int = 0  # the generation to be; 0 while none is under way
    attempt: int = 1  # names what is started for it
    plan: Plan | None = None  # None while the configuration is being read
    since: float = 0.0
    everything: bool = False
    clients: tuple[int, ...] = ()
    again: bool = False  # asked for meanwhile: another begins when this one has ended
    again_everything: bool = False
    again_clients: tuple[int, ...] = ()
    rolling: tuple[int, ...] | None = None  # told when the last outdated worker has a successor
    kept: int = 0  # workers that the last one left alone
    note: str = ""  # what of it waits for a restart
    refused: str | None = None  # why the last one changed nothing


class Fleet(msgspec.Struct, kw_only=True):
    """Everything. `step` copies it before it changes anything."""

    policy: Policy
    nonce: str
    board: str
    settings: str = ""  # stands for the configuration in force
    redis: str = ""  # without passwords
    namespace: str = ""
    queues: dict[str, Queue]
    slots: dict[str, Slot] = {}
    children: dict[str, Child] = {}
    helpers: dict[str, Helper]
    dead: dict[str, Dead]
    free: tuple[int, ...]
    growth: dict[str, dict[str, Grown]] = {}  # of the ended: queue -> task
    exits: dict[str, dict[str, int]] = {}  # of the ended: queue -> cause, predecessors' included
    counter: int = 0
    generation: int = 1
    adopt_queues_of: str | None = None  # the helper whose app's further queues are served too
    reload: Reload = Reload()
    store: Store = Store()  # Redis, as the keeper finds it
    stop: Stop = Stop.NO
    drain_by: float = NEVER
    ack_by: float = NEVER
    end_by: float = NEVER
    looked_at: float = -NEVER
    code: int = 0
    last_error: str | None = None
    ready: bool = False
    ended: bool = False

    def copy(self) -> Fleet:
        """Copy what a step changes in place; slots and the like are frozen."""
        twin = msgspec.structs.replace(self)
        twin.queues = dict(self.queues)
        twin.slots = dict(self.slots)
        twin.children = dict(self.children)
        twin.helpers = dict(self.helpers)
        twin.dead = dict(self.dead)
        twin.growth = dict(self.growth)
        twin.exits = dict(self.exits)
        return twin

    def child_in(self, slot: Slot) -> Child | None:
        """Find the child that fills a slot."""
        return self.children.get(slot.child)

    def slots_of(self, queue: str) -> list[Slot]:
        """List the slots of a queue, the lowest number first."""
        return [slot for slot in self.slots.values() if slot.queue == queue]

    def stamp(self, queue: Queue) -> str:
        """Say of which code and settings a child of this queue is to be."""
        return f"{queue.spec} {self.helpers[queue.helper].code}"

    def alive(self) -> list[Child]:
        """List the workers whose leases the keeper renews: joined, and not being killed."""
        return [child for child in self.children.values() if child.joined and not child.killed]


def slot_name(queue: str, number: int) -> str:
    """Name a queue's slot."""
    return f"{queue}.{number}"


def slot_number(slot: Slot) -> int:
    """Tell which of its queue's slots this is, counted from 1."""
    return int(slot.name.rpartition(".")[2])
