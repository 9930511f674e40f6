"""The supervisor: it forks, waits, kills and tells systemd. No Redis, no HTTP, no user code.

It is deaf to Redis because supervision must go on when Redis is down, and has one thread, no socket
and little memory because it is what must not fail.

    supervisor ─┬─ keeper              the host's duties at Redis (exec)
                ├─ preloader, one an app   imports it once, forks workers on order (exec)
                └─ worker email.1 ...  forked by a preloader, adopted by the supervisor

A worker's parent is the supervisor although the preloader forks it: that forks twice, its middle
process ends, and the supervisor is the reaper of orphans. So each end of a worker is told by its own
pidfd, and no report is lost with a preloader.

**A pure step and a thin loop.** `step(fleet, observation, now)` gives the next fleet and a list of
actions; it absorbs what was seen into the slots (`absorb`), then derives from the state alone what
has to be done (`settle`). A missed or doubled observation heals at the next tick. `ears` turn
descriptors into observations, `hands` carry actions out, and `loop` has them take turns: none decides anything.

**Levels, not edges.** Whenever something changes the keeper is told the whole list: who is alive, who
is dead and not yet released. It answers with what it has released. A lost message costs a tick.

**A worker is replaced before it goes.** A slot names the child that fills it. One that is to be
replaced - it is old, large, of yesterday's code, or its slot is no more - leaves its slot, which is
filled at once, and is told to drain when its successor has joined. Recycling, reloading and scaling
are this one move (`absorb.leave`, `settle`); what asks for it is apart: `layout` for slots and code,
`reload` for when code and settings are other ones, `turnover` for age, jobs and memory.

**Crash loops are slow.** A slot waits longer after each failure (`backoff`); a queue whose workers
end without having run a job is given up and only probed (`budget`).

Incarnations are named here, `<daemon nonce>.<fork number>`: host and pid are attributes, not names,
since containers share both.
"""
