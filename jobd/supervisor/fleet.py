"""What a supervisor knows: slots, helpers and the dead, as data.

Invariants: a slot has at most one child; a page belongs to the incarnation it was handed to until
the keeper acknowledged its release; whoever is in `dead` is gone and not yet acknowledged. Changed
only by jobd.supervisor.step, read by the loop.
"""

from __future__ import annotations

import math
from enum import IntEnum, StrEnum

import msgspec

NEVER = math.inf


class Stage(StrEnum):
    """Where a slot is. A slot whose child is to end is RUNNING until that child has ended."""

    VACANT = "vacant"  # no child; one is ordered at `due`
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
    helper_grace: float = 2.0  # for helpers to end by themselves
    load_attempts: int = 5  # of a helper that never came up, before the daemon gives up


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One stable place for a worker, `email.2`. The fields after `stage` belong to its child."""

    name: str
    queue: str
    helper: str
    cells: int = 1  # jobs its child runs at once
    stage: Stage = Stage.VACANT
    incarnation: str = ""
    page: int = -1
    pid: int = 0
    since: float = 0.0  # ordered at, then running since
    give_up_at: float = NEVER  # FORKING only
    joined: bool = False  # its page says it has left the boot
    told_at: float | None = None  # told to drain
    killed: str = ""  # the cause, once SIGKILL was sent
    charged: tuple[str, ...] = ()  # the jobs a kill is blamed on
    over: frozenset[tuple[str, int]] = (
        frozenset()
    )  # (job, claim) over their deadline when looked at
    over_at: float = 0.0
    frozen_at: float | None = None  # in state T since
    due: float = 0.0  # VACANT: not before this
    failures: int = 0  # in a row
    forks: int = 0
    last_exit: str | None = None


class Helper(msgspec.Struct, frozen=True, kw_only=True):
    """The keeper or a preloader. `app` is None for the keeper."""

    name: str
    app: str | None = None
    preload: bool = True
    running: bool = False
    up: bool = False  # loaded, or has beaten, since its start
    ever_up: bool = False
    since: float = 0.0
    due: float = 0.0
    failures: int = 0
    told: bool = False
    killed: bool = False
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


class Fleet(msgspec.Struct, kw_only=True):
    """Everything. `step` copies it before it changes anything."""

    policy: Policy
    nonce: str
    board: str
    slots: dict[str, Slot]
    helpers: dict[str, Helper]
    dead: dict[str, Dead]
    free: tuple[int, ...]
    counter: int = 0
    adopt_queues_of: str | None = None  # the helper whose app's further queues get a slot each
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
        twin.slots = dict(self.slots)
        twin.helpers = dict(self.helpers)
        twin.dead = dict(self.dead)
        return twin

    def slot_of(self, incarnation: str) -> Slot | None:
        """Find the slot whose child this is."""
        for slot in self.slots.values():
            if slot.incarnation == incarnation and slot.stage is not Stage.VACANT:
                return slot
        return None

    def alive(self) -> list[Slot]:
        """List the workers whose leases the keeper renews: joined, and not being killed."""
        return [s for s in self.slots.values() if s.joined and not s.killed]
