"""Who makes no progress: alive is not enough.

Invariant: nobody is judged by what was not seen. A doubt begins at the look that first finds no excuse
and is given up at the one that finds one, so every verdict takes two looks at least, `hang_after` apart;
where the supervisor itself slept, or the process was frozen, it begins anew.

A worker is `hung`
- when its loop has not turned for `hang_after` outside a task. In one that runs a job at a time the task
  has the loop's thread; in others a task may hold the GIL: any running job is an excuse.
- when it is *deaf*: it has joined, has cells free and is not draining, its loop turns, and no claim of
  it was answered for `hang_after`, though Redis answered the keeper all that time. A paused queue is no
  reason, its claims are answered; one that knows a reason not to claim says so in `asked`.
A worker that has never turned at all within `boot_timeout` has not booted (`boot`); one that waits for
Redis turns. For helpers see `keeper`, `service` and `preloader`.

Pure; called by jobd.supervisor.absorb and settle.
"""

from __future__ import annotations

import math

import msgspec

NEVER = math.inf

# A loop in trouble with Redis turns about this often at the least: an answer of 3 s, a pause.
SLOWEST_TURN = 4.0
# Whatever is configured: some such turns.
LEAST_HANG = 8.0
# A helper that is asked, or speaks by itself, says something within a third of `hang_after`.
_SHARE = 3.0
_LEAST = 5.0
# What we need to start on a busy host, whatever the application is allowed.
_OURS = 30.0


class Spans(msgspec.Struct, frozen=True, kw_only=True):
    """How long what may take, in seconds. `hang_after` 0: nobody is ever hung."""

    hang_after: float = 30.0
    boot_timeout: float = 60.0
    lease: float = 30.0

    @property
    def silence(self) -> float:
        """How long a helper may be silent."""
        return max(_LEAST, self.hang_after / _SHARE) if self.hang_after else NEVER


class Verdict(msgspec.Struct, frozen=True):
    """`cause` is that of the exit to come; `gentle`: jobs run, and its loop hears SIGTERM."""

    cause: str
    why: str
    gentle: bool = False


# --- Redis, as the keeper finds it ---


class Store(msgspec.Struct, frozen=True):
    """Since when Redis has answered the keeper without a break, NEVER when it does not."""

    good_since: float = NEVER
    heard_at: float = -NEVER


def heard_of_store(known: Store, good: bool, now: float) -> Store:
    """Take in what the keeper says of Redis, about once a second."""
    whole = known.good_since <= now and now - known.heard_at <= _LEAST
    if not good:
        return Store(NEVER, now)
    return Store(known.good_since if whole else now, now)


def _store_good_since(store: Store, now: float) -> float:
    """Nobody is held to account over what the keeper has not spoken of lately."""
    return store.good_since if now - store.heard_at <= _LEAST else NEVER


# --- workers ---


class Doubt(msgspec.Struct, frozen=True):
    """Since when a worker has had no excuse, as far as we have looked; NEVER while it has one."""

    still: float = NEVER  # for a loop that does not turn
    deaf: float = NEVER  # for claims that nobody answers


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One worker at one look."""

    since: float  # running since
    beat: float
    asked: float
    busy: int
    cells: int
    joined: bool
    leaving: bool
    frozen: bool


def worker(
    doubt: Doubt, sight: Sight, store: Store, spans: Spans, *, slept: bool, now: float
) -> tuple[Doubt, Verdict | None]:
    """Look once more; `slept` says that looks were missed since the last one."""
    if slept:
        doubt = Doubt()
    if not sight.beat:
        return Doubt(), _boot(sight, spans, slept=slept, now=now)
    if not spans.hang_after or sight.frozen:
        return Doubt(), None
    store_good = _store_good_since(store, now)
    doubt = Doubt(
        still=NEVER if sight.busy else min(doubt.still, now),
        deaf=NEVER if _excused(sight, store_good, now) else min(doubt.deaf, now),
    )
    return doubt, _still(doubt, sight, spans, now) or _deaf(doubt, sight, spans, now)


def _boot(sight: Sight, spans: Spans, *, slept: bool, now: float) -> Verdict | None:
    waited = now - sight.since
    if slept or sight.frozen or waited <= spans.boot_timeout:
        return None
    return Verdict("boot", f"it has not begun to work within {waited:.0f} s")


def _still(doubt: Doubt, sight: Sight, spans: Spans, now: float) -> Verdict | None:
    stood = now - max(doubt.still, sight.beat)
    if stood <= max(spans.hang_after, LEAST_HANG):
        return None
    return Verdict("hung", f"its loop has not turned for {now - sight.beat:.0f} s, outside any job")


def _excused(sight: Sight, store_good: float, now: float) -> bool:
    if sight.leaving or not sight.joined or sight.busy >= sight.cells or store_good == NEVER:
        return True
    # Then it is not deaf: it stands still, or a task holds the GIL.
    return now - sight.beat > SLOWEST_TURN


def _deaf(doubt: Doubt, sight: Sight, spans: Spans, now: float) -> Verdict | None:
    waited = now - max(doubt.deaf, sight.asked)
    if waited <= max(spans.hang_after, LEAST_HANG):
        return None
    why = f"it has cells free, and Redis has answered no claim of it for {waited:.0f} s"
    return Verdict("hung", why, gentle=sight.busy > 0)


# --- helpers ---


class Count(msgspec.Struct, frozen=True):
    """A number that grows, and since when it has stood where it is."""

    number: int = -1
    since: float = -NEVER


class Voice(msgspec.Struct, frozen=True):
    """When a helper was last heard; of a keeper, its tries to renew leases, and those that went well."""

    heard_at: float = -NEVER
    turns: Count = Count()
    rounds: Count = Count()


def heard(voice: Voice, now: float, turns: int | None = None, rounds: int | None = None) -> Voice:
    """Take in any message of a helper; a keeper's beat has the two counts."""
    return Voice(now, _counted(voice.turns, turns, now), _counted(voice.rounds, rounds, now))


def _counted(count: Count, number: int | None, now: float) -> Count:
    return count if number is None or number == count.number else Count(number, now)


def after_sleep(voice: Voice, now: float) -> Voice:
    """Begin to count anew: while the supervisor slept nobody could be heard."""
    return Voice(now, Count(voice.turns.number, now), Count(voice.rounds.number, now))


def loading(since: float, spans: Spans, now: float, *, ours: bool = False) -> Verdict | None:
    """Judge a helper that has not come up yet; `ours`: it loads nobody's code but ours."""
    waited = now - since
    if waited <= (max(_OURS, spans.boot_timeout) if ours else spans.boot_timeout):
        return None
    return Verdict("boot", f"it has not come up within {waited:.0f} s")


def keeper(voice: Voice, store: Store, spans: Spans, now: float) -> Verdict | None:
    """Judge a keeper that is up: it beats, and while Redis answers it renews leases."""
    silent = now - voice.heard_at
    if silent > spans.silence:
        return Verdict("hung", f"it has said nothing for {silent:.0f} s")
    if not spans.hang_after:
        return None
    since = _store_good_since(store, now)
    stood = now - max(voice.turns.since, since)
    if stood > max(_LEAST, spans.lease / 2):
        return Verdict("hung", f"its renewing of leases has stood still for {stood:.0f} s")
    # That its tries fail is Redis' doing sooner than its own; but not for ever.
    stood = now - max(voice.rounds.since, since)
    if stood > max(2 * _LEAST, spans.lease):
        return Verdict("hung", f"it has renewed no lease for {stood:.0f} s, though Redis answers")
    return None


def service(voice: Voice, spans: Spans, now: float, *, probed: bool = False) -> Verdict | None:
    """Judge a service that is up: it beats each second. `probed`: others wait for what it answers."""
    silent = now - voice.heard_at
    if silent <= (min(_LEAST, spans.silence) if probed and spans.hang_after else spans.silence):
        return None
    return Verdict("hung", f"it has said nothing for {silent:.0f} s")


def preloader(voice: Voice, ordered_at: float, spans: Spans, now: float) -> Verdict | None:
    """Judge a preloader that is up: orders are answered one after another. `ordered_at` is the time of
    the oldest one that is open, NEVER if there is none."""
    silent = now - max(voice.heard_at, ordered_at)
    if silent <= spans.silence:
        return None
    return Verdict("hung", f"it has answered no fork order for {silent:.0f} s")
