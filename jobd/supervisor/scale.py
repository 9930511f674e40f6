"""How many processes a queue is to have, and why: facts in, a number and a reason out.

    grow     at once, by need: what is due must be done within `drain_within`, at the pace one process
             was seen to work; where no pace is known, or jobs wait longer than that although all slots
             are busy, by half as many again
    shrink   one at a time, when fewer would have done for a quiet time, and would still do: by the slots
             in use, and by the work that is due. A shrink that proves wrong makes the next one wait longer
    neither  where more would not help (paused, rate limited, capped), or nothing is known (no Redis)

Laws: the floor is kept; a target stays within its bounds; all targets together stay within the host's
`max_processes`, unless the floors alone do not; the same facts give the same decision, and a second
question at the same instant changes nothing. What went before is in the facts (`Past`): this file
remembers nothing. Called by jobd.supervisor.scaling.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from jobd.core.durations import words
from jobd.supervisor.shares import Claimant, share_out

# Fewer would do if that many of their slots were in use at most, and what is due were done in that
# part of its time: so nothing that was taken away is asked for again a moment later.
_EASY = 0.8
_SOON = 0.5
# For so long after a limit was met, a free place at this instant means nothing.
_LIMITED_FOR = 10.0
# How much longer a shrink waits, at the most, after others that proved wrong.
_MOST_PATIENCE = 8.0


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """What a decision leaves for the next one."""

    grown_at: float = -math.inf
    shrunk_at: float = -math.inf
    full_since: float | None = None  # every slot busy, and work due
    lower_since: float | None = None  # fewer would do
    lower_to: int = 0  # ... so many, at every instant since
    limited_at: float = -math.inf
    patience: float = 1.0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The facts about one queue. `due` None: nobody knows. Counts of cells are of `ready` processes."""

    queue: str
    least: int
    most: int
    within: float = 60.0  # what is due is to be done in this time
    weight: int = 1
    target: int
    ready: int = 0  # of these have joined
    leaving: int = 0  # finish their jobs, and then end
    cells: int = 1  # jobs one process runs at once
    busy: int = 0
    used: float = 0.0  # busy cells, averaged over the last seconds
    rate: float | None = None  # jobs a second of one process with work waiting
    due: int | None = None
    oldest: float = 0.0
    paused: bool = False
    limited: bool = False
    hosts: int = 1
    asked: int | None = None  # set by hand
    past: Past = Past()

    @property
    def share(self) -> int:
        """What of the due work is this host's."""
        return math.ceil((self.due or 0) / max(1, self.hosts))

    @property
    def quiet(self) -> float:
        """How long fewer must have done before one goes."""
        return min(max(self.within / 2, 2.0), 60.0) * self.past.patience

    @property
    def settling(self) -> float:
        """How long a growth has to show its effect before the next: new processes end nothing at first,
        which must not be taken for slowness."""
        least = min(max(self.within / 20, 1.0), 5.0)
        two_jobs = 2 * self.cells / self.rate if self.rate else 0.0
        return max(least, min(two_jobs, self.within / 2))


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What one queue would have if it were alone, and what of that it cannot do without."""

    floor: int
    needed: int
    wanted: int
    why: str
    past: Past


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """So many processes, and why."""

    queue: str
    target: int
    was: int
    why: str
    past: Past


def decide(loads: Iterable[Load], *, most: int, now: float) -> list[Decision]:
    """Decide for all queues of a host. `most` is its `max_processes`, 0: no limit."""
    loads = list(loads)
    wishes = {load.queue: wish(load, now) for load in loads}
    targets = share_out([_claimant(load, wishes[load.queue]) for load in loads], most)
    return [_decision(load, wishes[load.queue], targets[load.queue], most, now) for load in loads]


def _claimant(load: Load, wished: Wish) -> Claimant:
    return Claimant(
        name=load.queue, weight=load.weight, has=load.target, leaving=load.leaving,
        floor=wished.floor, needed=wished.needed, wanted=wished.wanted,
    )  # fmt: skip


def wish(load: Load, now: float) -> Wish:
    """Say what a queue would have if it were alone on the host."""
    if load.asked is not None:
        asked = max(1, load.asked)
        why = f"{asked} by hand, until `jobd scale {load.queue} auto` or a reload"
        return Wish(floor=min(asked, load.least), needed=asked, wanted=asked, why=why, past=Past())
    if load.least >= load.most:
        least = load.least
        return Wish(floor=least, needed=least, wanted=least, why=f"fixed at {least}", past=Past())
    load = replace(load, target=min(max(load.target, load.least), load.most))
    if load.due is None:
        return _keep(load, "no figures from Redis, nothing is changed", replace(
            load.past, full_since=None, lower_since=None))  # fmt: skip
    load = replace(load, past=_noted(load, now))
    return _grow(load, now) or _shrink(load, now)


def _keep(load: Load, why: str, past: Past | None = None) -> Wish:
    n = load.target
    return Wish(floor=load.least, needed=n, wanted=n, why=why, past=past or load.past)


def _noted(load: Load, now: float) -> Past:
    """Bring up to date since when things are as they are."""
    past = load.past
    if load.limited:
        past = replace(past, limited_at=now)
    full = load.share > 0 and 0 < load.ready <= math.ceil(load.busy / load.cells)
    past = replace(past, full_since=(past.full_since or now) if full else None)
    fewer = _enough(load)
    if fewer >= load.target:
        return replace(past, lower_since=None, lower_to=0)
    if past.lower_since is None or past.lower_to >= load.target:
        return replace(past, lower_since=now, lower_to=fewer)
    return replace(past, lower_to=max(past.lower_to, fewer))


def _enough(load: Load) -> int:
    """Say how many would do at this instant, with ease."""
    by_slots = math.ceil(load.used / (load.cells * _EASY) - 1e-9)
    by_due = 0
    if not _held(load) and load.share:
        by_due = load.target if load.rate is None else _drains(load, load.within * _SOON)
    return min(max(load.least, by_slots, min(by_due, _useful(load))), load.target)


def _drains(load: Load, within: float) -> int:
    """Say how many it takes to be done in a time. Beyond any sense there is only: very many."""
    pace = (load.rate or 0.0) * within
    return math.ceil(load.share / pace - 1e-9) if pace > load.share * 1e-6 else 1_000_000


def _useful(load: Load) -> int:
    """Say how many would have something to do: one that finds no job is of no use."""
    return math.ceil((load.busy + load.share) / load.cells)


def _held(load: Load) -> str:
    return "paused" if load.paused else "held back by its limits" if load.limited else ""


def _grow(load: Load, now: float) -> Wish | None:
    past, n, due = load.past, load.target, load.share
    if not due or n >= load.most:
        return None
    if _held(load) or now - past.limited_at < _LIMITED_FOR:
        return None
    if load.ready < n or now - past.grown_at < load.settling:
        return None
    need, why = _need(load, now)
    wanted = min(need, _useful(load), load.most)
    if wanted <= n:
        return None
    bound = f" (max is {load.most})" if wanted == load.most < min(need, _useful(load)) else ""
    return Wish(
        floor=load.least, needed=wanted, wanted=wanted, why=f"{why}: {wanted}{bound}", past=past
    )


def _need(load: Load, now: float) -> tuple[int, str]:
    n, past = load.target, load.past
    if n == 0:
        return 1, f"due {load.due}, and nobody there"
    if load.rate is not None and load.share > n * load.rate * load.within:
        return _drains(load, load.within), f"{_drain(load)}; wanted within {words(load.within)}"
    if past.full_since is None or now - past.full_since < load.settling:
        return 0, ""
    step = n + max(1, n // 2)
    if load.rate is None:
        return step, f"{_due(load)}, all slots busy, pace not known yet"
    if load.oldest > load.within:
        waits = f"waiting for {words(load.oldest)}"
        return step, f"{_due(load)}, {waits}, all slots busy; wanted within {words(load.within)}"
    return 0, ""


def _shrink(load: Load, now: float) -> Wish:
    """Take one away if fewer have done for long; to others that need more, yield sooner."""
    past, n = load.past, load.target
    if past.lower_since is None:
        return _keep(load, _state(load, now))
    quiet = now - max(past.lower_since, past.grown_at)
    needed = past.lower_to if quiet >= load.quiet / 3 else n
    for_long = f"{past.lower_to} would have done for {words(float(round(quiet)))}"
    if quiet >= load.quiet and now - past.shrunk_at >= load.quiet / 3:
        why = f"{_state(load, now)}; {for_long}: {n - 1}"
        return Wish(floor=load.least, needed=needed, wanted=n - 1, why=why, past=past)
    why = f"{_state(load, now)}; {for_long}, one goes after {words(load.quiet)}"
    return Wish(floor=load.least, needed=needed, wanted=n, why=why, past=past)


# --- after the host's processes were shared out ---


def _decision(load: Load, wished: Wish, target: int, most: int, now: float) -> Decision:
    past, why = wished.past, wished.why
    if target < wished.wanted:
        why += f"; max_processes = {most} of this host leaves it {target}"
    if target > load.target:
        past = replace(
            past, grown_at=now, lower_since=None, full_since=None, patience=_patience(load, now)
        )
    elif target < load.target:
        past = replace(past, shrunk_at=now)
    return Decision(queue=load.queue, target=target, was=load.target, why=why, past=past)


def _patience(load: Load, now: float) -> float:
    """Growing again soon after a shrink says that this one came too early."""
    past = load.past
    if now - past.shrunk_at < 10 * load.quiet:
        return min(past.patience * 2, _MOST_PATIENCE)
    return max(past.patience / 2, 1.0)


# --- words ---


def _state(load: Load, now: float) -> str:
    if held := _held(load):
        return f"{_due(load)}, {held}: more would not help"
    if load.due and now - load.past.limited_at < _LIMITED_FOR:
        return f"{_due(load)}, held back by its limits a moment ago"
    if load.due and load.ready < load.target:
        return f"{_due(load)}, {load.target - load.ready} of {load.target} not started yet"
    if load.due and load.rate is not None and load.target:
        return _drain(load)
    return f"{_due(load)}, {load.used:.1f} of {load.target * load.cells} slots in use"


def _due(load: Load) -> str:
    if not load.due:
        return "nothing due"
    among = f", {load.share} of it for this host" if load.hosts > 1 else ""
    return f"due {load.due}{among}"


def _drain(load: Load) -> str:
    rate = load.rate or 0.0
    span = load.share / (rate * load.target) if rate else math.inf
    long = words(_round(span)) if span < 1e7 else "months"
    return f"{_due(load)}, drained in {long} by {load.target} at {_rate(rate)} each"


def _round(span: float) -> float:
    return float(round(span)) if span >= 1 else round(span, 3)


def _rate(rate: float) -> str:
    if rate >= 0.095:
        return f"{rate:.3g}/s" if rate < 1000 else f"{rate:.0f}/s"
    return f"{rate * 60:.2g}/min" if rate * 60 >= 0.095 else f"{rate * 3600:.2g}/h"
