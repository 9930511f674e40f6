"""What the scoreboard says of each child, judged: who is to be killed, who has proved to be of use.

Invariant: a cell of a living worker may change while it is read, so nobody is killed for what only
one look has seen. Part of absorbing; called by jobd.supervisor.step only.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.supervisor import absorb, budget, memory, scaling, turnover, watchdog
from jobd.supervisor.fleet import Child, Fleet, Stage
from jobd.supervisor.orders import Action, Forked, Look, Looked, Remind, Say

# Looks further apart than this say nothing about the time between: the supervisor itself slept.
_LONGEST_GAP = 2.0
# The share of a look's period that makes two looks different looks.
_APART = 0.8


def looked(fleet: Fleet, seen: Looked, now: float, out: list[Action]) -> None:
    """Take in one reading of the scoreboard."""
    slept = now - fleet.looked_at > _LONGEST_GAP
    fleet.looked_at = now
    before = dict(fleet.children)
    for look in seen.looks:
        child = fleet.children.get(look.incarnation)
        if look.pid and (child is None or child.stage is Stage.FORKING):
            _turned_up(fleet, look, now, out)
            child = fleet.children.get(look.incarnation)
        if child is not None and child.works:
            _judge(fleet, child, look, slept, now, out)
    scaling.looked(fleet, before, now)
    watchdog.look_at_helpers(fleet, slept, now, out)


def _turned_up(fleet: Fleet, look: Look, now: float, out: list[Action]) -> None:
    held = fleet.dead.get(look.incarnation)
    if look.incarnation in fleet.children or (held is not None and held.unborn):
        absorb.forked(fleet, Forked(look.incarnation, look.pid), now, out)


def _judge(
    fleet: Fleet, child: Child, look: Look, slept: bool, now: float, out: list[Action]
) -> None:
    frozen_at = child.frozen_at
    if look.frozen is not None:
        frozen_at = _frozen_since(child, look.frozen, slept, now)
    _note_use(fleet, child, look, now, out)
    seen_twice = child.over & look.over
    apart = now - child.over_at >= fleet.policy.look_every * _APART
    if look.joined and not child.joined:
        child = replace(child, joined=True, joined_at=now)
    weight = memory.weigh(child.limits, child.weight, look.memory, now)
    if weight is not child.weight:  # now and then: what is shown of it would change at every look
        child = replace(child, weight=weight, grown=look.grown)
    child = replace(
        child,
        frozen_at=frozen_at,
        ran=max(child.ran, look.ran),
        busy=max(look.busy, look.has_work),
    )
    if not seen_twice or apart:
        child = replace(child, over=look.over, over_at=now)
    fleet.children[child.incarnation] = child
    if look.fenced:
        absorb.kill(fleet, child, "fenced", (), out)
    elif seen_twice and apart:
        late = seen_twice - look.condemned
        jobs = tuple(sorted(job for job, _ in late or seen_twice))
        absorb.kill(fleet, child, "timeout" if late else "cancelled", jobs, out)
    elif memory.is_too_much(child.limits, child.weight):
        out.append(Say(turnover.over_limit(child, child.limits.memory_hard, "killed")))
        absorb.kill(fleet, child, "memory", (), out)
    elif frozen_at is not None and now - frozen_at > fleet.policy.lease:
        absorb.kill(fleet, child, "stopped", (), out)
    else:
        if child.told_at is not None and look.ran > child.ran_till_told and not look.draining:
            # A task ignored the signal when it came. Whoever has heard it begins no other job.
            out.append(Remind(child.incarnation))
        watchdog.look_at_worker(fleet, child, look, slept, now, out)


def _note_use(fleet: Fleet, child: Child, look: Look, now: float, out: list[Action]) -> None:
    queue = fleet.queues.get(child.queue)
    if queue is None or not queue.useless:
        return
    lasted = look.joined and now - child.since >= budget.LASTED
    if look.ran > child.ran or lasted:
        absorb.prove(fleet, queue, out)


def _frozen_since(child: Child, frozen: bool, slept: bool, now: float) -> float | None:
    if not frozen:
        return None
    return now if child.frozen_at is None or slept else child.frozen_at
