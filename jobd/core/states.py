"""The states of a job and the edges between them. This file imports nothing.

A job is in exactly one state, and the state is the container in Redis that lists the job: nothing
else records it, so nothing can disagree with it.

                add ──────────────► waiting ──claim──► active ──complete──► completed
                 │                   ▲  ▲ ▲              │ │ │
                 └──(delay)─► delayed┘  │ └──hand_back───┘ │ └──dead──────► dead
                              ▲         └──release, reap───┤
                              └───retry, snooze, park──────┘

    A claimed job whose task is paused becomes delayed without an end; resume brings it back.

    cancel ends what is waiting or delayed; what is active is told, and settles as cancelled or goes
    that way wherever it would go back. add_once adds under conditions: it may cancel who waits under
    the same lock, and begin an ended job of the same id anew. reschedule moves between waiting and
    delayed; retry puts the dead and the cancelled back in line; delete and trim remove what has
    ended, and purge also what never ran.

`release` is what the daemon does for its own dead worker, `reap` what any daemon does for a host
that is gone, `hand_back` what a living worker does with jobs it has claimed but not started.
"""

from __future__ import annotations

WAITING = "waiting"
DELAYED = "delayed"
ACTIVE = "active"
COMPLETED = "completed"
DEAD = "dead"
CANCELLED = "cancelled"

STATES = (WAITING, DELAYED, ACTIVE, COMPLETED, DEAD, CANCELLED)
TERMINAL = (COMPLETED, DEAD, CANCELLED)

# verb -> (from, to); None is "not recorded". The verbs are the scripts of jobd/broker/lua.
EDGES: dict[str, tuple[tuple[str | None, str | None], ...]] = {
    "add": ((None, WAITING), (None, DELAYED)),
    "add_once": (
        (None, WAITING),
        (None, DELAYED),
        (WAITING, CANCELLED),
        (DELAYED, CANCELLED),
        (COMPLETED, WAITING),
        (COMPLETED, DELAYED),
        (DEAD, WAITING),
        (DEAD, DELAYED),
        (CANCELLED, WAITING),
        (CANCELLED, DELAYED),
    ),
    "schedule_fire": ((None, WAITING),),
    "claim": ((WAITING, ACTIVE), (WAITING, DEAD), (WAITING, DELAYED)),
    "promote": ((DELAYED, WAITING),),
    "resume": ((DELAYED, WAITING),),
    "settle": (
        (ACTIVE, COMPLETED),
        (ACTIVE, DELAYED),
        (ACTIVE, WAITING),
        (ACTIVE, DEAD),
        (ACTIVE, CANCELLED),
    ),
    "hand_back": ((ACTIVE, WAITING), (ACTIVE, CANCELLED)),
    "reconcile": ((ACTIVE, WAITING), (ACTIVE, CANCELLED)),
    "release": ((ACTIVE, WAITING), (ACTIVE, CANCELLED)),
    "reap": ((ACTIVE, WAITING), (ACTIVE, CANCELLED)),
    "cancel": ((WAITING, CANCELLED), (DELAYED, CANCELLED)),
    "reschedule": ((WAITING, DELAYED), (DELAYED, WAITING)),
    "retry": ((DEAD, WAITING), (CANCELLED, WAITING)),
    "delete": ((COMPLETED, None), (DEAD, None), (CANCELLED, None)),
    "purge": (
        (WAITING, None),
        (DELAYED, None),
        (COMPLETED, None),
        (DEAD, None),
        (CANCELLED, None),
    ),
    "trim": ((COMPLETED, None), (DEAD, None), (CANCELLED, None)),
}

# A claim's number is its instant in ms, times this, or larger by a little.
CLAIM_PER_MS = 1024

# Why a job is dead. Always recorded beside it, with the history of its attempts.
DEAD_CAUSES = {
    "failed": "its attempts are used up, or its error is not to be tried again",
    "timeout": "its attempts are used up, the last by its timeout",
    "poison": "it crashed its process max_crashes times",
    "lost": "the host it ran on went away too often",
    "discarded": "its task asked for that, with Discard",
    "undecodable": "its arguments do not fit the task's parameters",
    "unencodable": "its result cannot be written as JSON, or is too large",
    "corrupt": "its record in Redis cannot be read",
    "expired": "it could not start before the time it said (`expires`)",
    "unknown_task": "no worker has known the task's name for an hour",
}

# Causes of endings that no run led to: of jobs that were judged before their start. A worker of which
# these are all has been of no use yet, and a crash loop is slowed down by that.
WITHOUT_A_RUN = frozenset(
    {
        "timeout", "poison", "lost", "undecodable", "corrupt", "expired", "unknown_task", "parked",
        "put_off",
    }
)  # fmt: skip

# How the error of a job begins that is set aside since no worker knows its task. Whatever its record
# says of that, after another error it is the past.
PARKED = "no worker knows the task"
