"""What a supervisor hears (observations) and what it does (actions), as values.

Observations are made by the loop from signals, channels, pidfds and the scoreboard; actions are
decided by step and carried out by the loop.
"""

from __future__ import annotations

from typing import Any

import msgspec

from jobd.core.events import Event
from jobd.seams.exits import Exit
from jobd.supervisor.demand import Waiting
from jobd.supervisor.fleet import Plan
from jobd.supervisor.growth import Grown
from jobd.supervisor.memory import Reading

# --- observations ---


class Ticked(msgspec.Struct, frozen=True):
    """A deadline passed, or nothing in particular."""


class Loaded(msgspec.Struct, frozen=True):
    """A preloader has its application, which declares these queues; `code` stands for its code.

    From the reader of a reload: the configuration lies there; `note` says what of it waits for a restart.
    """

    helper: str
    queues: tuple[str, ...] = ()
    code: str = ""
    note: str = ""


class LoadFailed(msgspec.Struct, frozen=True):
    """A preloader's application does not load, or a reader's configuration is no good."""

    helper: str
    why: str


class Beat(msgspec.Struct, frozen=True):
    """The keeper works: so many tries to renew leases, and so many of them well."""

    helper: str
    turns: int | None = None
    rounds: int | None = None


class HelperExited(msgspec.Struct, frozen=True):
    """A helper has ended, or could not be started: `why` then says what was in the way."""

    helper: str
    how: Exit
    why: str = ""


class Forked(msgspec.Struct, frozen=True):
    """A worker has been forked and adopted."""

    incarnation: str
    pid: int


class Refused(msgspec.Struct, frozen=True):
    """A fork order was certainly not carried out."""

    incarnation: str
    why: str


class WorkerExited(msgspec.Struct, frozen=True):
    """A worker has ended; the rest is what its page says, which cannot change any more.

    `oom` is of use where a SIGKILL was not ours: the kernel may have sent it for want of memory.
    `drained` says that it was on its way out, whoever had asked it to go. `tokens` are the claims of `jobs`.
    """

    incarnation: str
    how: Exit
    ran: int = 0
    booted: bool = True
    fenced: bool = False
    jobs: tuple[str, ...] = ()
    tokens: tuple[int, ...] = ()
    oom: bool = False
    grown: Grown | None = None
    drained: bool = False
    reason: int = 0


class Look(msgspec.Struct, frozen=True):
    """One worker's page at one look; `over` are its running (job, claim) that must end:
    past their deadline, or `condemned` by somebody who cancelled them.

    `frozen` tells whether the process is in state T, None when nobody looked. `beat` is when its loop
    last turned, `asked` when Redis last answered a claim of it; `ran` counts the jobs it has run to an
    end, `busy` those it runs, of at most `cells`; `has_work` tells whether it has any in hand, `draining`
    whether it takes no more. `memory` holds what was read of that, `grown` the task it has grown by most.
    """

    incarnation: str
    pid: int
    joined: bool
    fenced: bool
    over: frozenset[tuple[str, int]] = frozenset()
    condemned: frozenset[tuple[str, int]] = frozenset()
    frozen: bool | None = None
    beat: float = 0.0
    ran: int = 0
    busy: int = 0
    cells: int = 1
    asked: float = 0.0
    memory: Reading = Reading()
    grown: Grown | None = None
    has_work: bool = False
    draining: bool = False


class Looked(msgspec.Struct, frozen=True):
    """The scoreboard was read."""

    looks: tuple[Look, ...]


class Counted(msgspec.Struct, frozen=True):
    """The keeper has looked at Redis, about once a second: whether all it asked in that second was
    answered (`store`), and what waits in the queues whose number of processes may vary."""

    store: bool
    queues: dict[str, Waiting] = {}


class Released(msgspec.Struct, frozen=True):
    """The keeper has given back what these incarnations held."""

    incarnations: tuple[str, ...]


class Fenced(msgspec.Struct, frozen=True):
    """The leases of these incarnations are closed or gone."""

    incarnations: tuple[str, ...]


class StopAsked(msgspec.Struct, frozen=True):
    """Somebody wants the daemon to end; `now` when it is not to wait for jobs."""

    now: bool


class ReloadAsked(msgspec.Struct, frozen=True):
    """Somebody wants configuration and code read again; `client` waits for an answer.

    With `everything` workers are replaced whose settings and code are what they were, too.
    """

    everything: bool = False
    client: int | None = None


class PlanRead(msgspec.Struct, frozen=True):
    """The configuration that a reader has laid down is whole."""

    plan: Plan
    note: str = ""  # what in it does not take effect


class PlanRefused(msgspec.Struct, frozen=True):
    """The configuration that a reader has laid down asks for what cannot be."""

    why: str


class Dumped(msgspec.Struct, frozen=True):
    """The stacks of a worker or helper are in the log, or never will be."""

    who: str


class StacksAsked(msgspec.Struct, frozen=True):
    """Somebody wants to know where a slot's worker is, or (None) every process; `client` waits for an
    answer, with `tell` for the stacks themselves."""

    slot: str | None = None
    client: int | None = None
    tell: bool = False


class RecycleAsked(msgspec.Struct, frozen=True):
    """Somebody wants a slot's worker replaced; `client` waits for an answer."""

    slot: str
    client: int | None = None


class ScaleAsked(msgspec.Struct, frozen=True):
    """Somebody wants `to` processes of a queue, or `by` more; neither: as the load says.

    Without a queue: of each of them. `client` waits for an answer.
    """

    queue: str | None = None
    to: int | None = None
    by: int | None = None
    client: int | None = None


Observation = (
    Ticked | Loaded | LoadFailed | Beat | HelperExited | Forked | Refused | WorkerExited
    | Looked | Released | Fenced | StopAsked | ReloadAsked | PlanRead | PlanRefused | RecycleAsked
    | Counted | ScaleAsked | Dumped | StacksAsked
)  # fmt: skip


# --- actions ---


class StartHelper(msgspec.Struct, frozen=True):
    helper: str


class EndHelper(msgspec.Struct, frozen=True):
    """Close its channel and send SIGTERM; `hard` sends SIGKILL."""

    helper: str
    hard: bool


class Fork(msgspec.Struct, frozen=True):
    """Hand out the page and order a worker."""

    helper: str
    incarnation: str
    page: int
    queue: str
    slot: str
    cells: int

    def message(self, *, output: bool) -> dict[str, object]:
        """Word the order for the preloader; with `output` a descriptor goes along."""
        told = {"incarnation": self.incarnation, "page": self.page}
        return {"fork": told | {"queue": self.queue, "slot": self.slot, "output": output}}


class Watch(msgspec.Struct, frozen=True):
    """Wait for this child's end from now on."""

    incarnation: str
    pid: int


class Drain(msgspec.Struct, frozen=True):
    """SIGTERM: finish what runs, take nothing more, end."""

    incarnation: str


class Remind(msgspec.Struct, frozen=True):
    """The same again, to one that was told and goes on as if it had not been."""

    incarnation: str


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL, and why."""

    incarnation: str
    cause: str


class Dump(msgspec.Struct, frozen=True):
    """Have a worker or helper write its stacks to the log, and why."""

    who: str
    why: str


class Tell(msgspec.Struct, frozen=True):
    """Answer a client with the stacks of these, once they have come."""

    client: int
    who: tuple[str, ...]


class KillStray(msgspec.Struct, frozen=True):
    """SIGKILL a child of ours that carries a name no slot waits for any more."""

    incarnation: str
    pid: int


class TakeBack(msgspec.Struct, frozen=True):
    """The page is free again."""

    page: int


class Withdraw(msgspec.Struct, frozen=True):
    """Clear the page of an order that is open: a worker that finds nothing there ends."""

    page: int


class Forget(msgspec.Struct, frozen=True):
    """Remove a predecessor's scoreboard: all it held is released."""

    board: str


class Adopt(msgspec.Struct, frozen=True):
    """The configuration that a reload has read is the one in force from now on."""


class Discard(msgspec.Struct, frozen=True):
    """What a reload has read, and the socket it has opened, are of no use: let go of them."""


class Answer(msgspec.Struct, frozen=True):
    """Tell a client how it went: `error` says why it was refused, None that it was done."""

    client: int
    error: str | None = None
    told: dict[str, Any] = {}


class Say(msgspec.Struct, frozen=True):
    """Emit an event."""

    event: Event


class Ready(msgspec.Struct, frozen=True):
    """Tell the service manager."""


class Quit(msgspec.Struct, frozen=True):
    """End with this exit code."""

    code: int


Action = (
    StartHelper | EndHelper | Fork | Watch | Drain | Remind | Kill | Dump | Tell | KillStray | TakeBack
    | Withdraw
    | Forget | Adopt | Discard | Answer | Say | Ready | Quit
)  # fmt: skip
