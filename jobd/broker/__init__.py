"""Redis, and nobody else: keys, scripts, commands, transitions, reads.

**Every change of a job is one Lua script** in `lua/`, one file a transition, one method of `store`.
Its header is a contract that `scripts` reads: the edge, KEYS and ARGV by name, the REPLY in words,
REPLAY - why repeating it is harmless, and WHY - the invariant and what a crash right after means.

**What keeps a job from being in two places** is that a state *is* a container: the sorted set (or,
while it runs, the `held` hash of its worker) that lists the id. No field repeats it.

**What keeps a stale worker from changing anything** is the claim number. Each claim call draws one,
strictly growing over a queue's life even after data loss. `held:<incarnation>` says job -> claim, and
whoever settles, hands back or reports names both; where they do not match, nothing is written, not
even a counter. The number is `job.token` for tasks: the fencing token of Kleppmann, "How to do
distributed locking" (2016).

**Leases** belong to a worker incarnation, not to a job: `leases` says incarnation -> expiry by
Redis' clock, and score 0 means closed for ever. An expired lease that nobody has reaped is still its
owner's, so an outage of Redis kills no healthy fleet.

**Redis rolls nothing back** when a script fails, so each checks the types it is going to write to,
and reads every number with a default, before its first write. And at maxmemory a script is refused
only at its first memory-using write: all but `add` and `schedule_fire`, which adds too, begin with a
write that needs none, so that a full store can be worked off.

Reading order: `keys`, `lua/claim.lua`, `lua/settle.lua`, `commands`, `connection`.
"""
