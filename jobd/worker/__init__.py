"""The worker process: claim, run, settle.

    Redis ──claim──►  unstarted ──►  running ──►  done, endings  ──settle──► Redis
                          │             │               │
                          └── hand back ┴─ the side thread, while a job overstays

**Speed is batches.** A round trip costs as much as ten no-op jobs, so a worker settles what ended
and claims what comes next in one, and takes as many jobs as make about 25 ms of work by what it has
seen of their tasks (`costs`): slow and unknown ones come one at a time. While it runs a batch the
next exchange is already under way (`talk`), so that Redis and the worker work at the same time.

**Three executors** (`assemble` chooses): `inline` runs jobs in the thread that also speaks to Redis
(`solo`), `threads` and `aio` run them beside one that only speaks (`crew`).

**Nothing waits behind a job that overstays.** The side thread (`side`), or the crew's loop itself,
hands unstarted jobs back and settles finished ones meanwhile. Where a task holds the GIL neither can;
then the keeper takes the unstarted jobs away through the page (`jobd.keeper.revoke`).

**No job is in two hands.** Whoever takes from the deques, their pops are atomic; the page's cell is
written before `revoked` is read and that before the task is called.

**Innocents are not charged.** What ran beside a timeout was interrupted. What ran beside a crash is
suspected, and runs in less and less company (`record.company`, `crew`) until the guilty one is alone.

**Nothing is forgotten.** What was given to an exchange stays with it until that is answered
(`talk`); what Redis gave in a reply that never came is found by looking twice at what is held
(`loop`). A fenced worker ends; one whose store was reset begins anew.

**What becomes of one job is written once**, whatever executor runs it: a `lane` takes it from its
judgement to its ending, with a cell of the page to itself; the `desk` holds what is not begun and
what has ended.

**What does not end well is judged in one place** (`jobd.core.verdict`); `outcome` makes its ending,
`record` writes its line in the job's history, `tell` the one in the log. Until both are written the job
answers for the process: the text of an error and a back-off function are the application's code too.

**What a job says travels with what becomes of it.** `notes` holds it until Redis has it; the settle takes
it along, and `flush` sends it before, a few times a second, from a thread that lives only where
somebody speaks. Hooks of runs (`hooked`) have lanes of their own kind: the plain ones ask nobody.

**It knows what it costs**: `growth` finds the task that makes it grow, `lifetime` counts the jobs it has
left where they are limited.

`preload` is where workers come from: a process with the application in memory, which forks them.
"""
