"""Sharing out what a host has: `max_processes`, among queues.

Floors first, whatever they come to; then, by weight, what each cannot do without; then what each would
like to keep. What is taken from one is given to another only when it is there: a process that still
finishes its job fills its place until it has ended.

Laws: nobody gets less than its floor or more than it wants; the sum stays within the limit unless the
floors alone are above it; the same claims have the same answer. Called by jobd.supervisor.scale.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Claimant(msgspec.Struct, frozen=True, kw_only=True):
    """One queue's claim. floor <= needed <= wanted, except that a floor is kept in any case."""

    name: str
    weight: int = 1
    has: int
    leaving: int = 0
    floor: int
    needed: int
    wanted: int


def share_out(claims: Sequence[Claimant], most: int) -> dict[str, int]:
    """Give each its number. `most` 0: no limit."""
    if not most:
        return {claim.name: max(claim.floor, claim.wanted) for claim in claims}
    fair = {claim.name: claim.floor for claim in claims}
    _fill(fair, claims, {c.name: c.needed for c in claims}, most - sum(fair.values()))
    _fill(fair, claims, {c.name: c.wanted for c in claims}, most - sum(fair.values()))
    # Nobody waits for its floor. Beyond it, growing waits for places that are empty by now.
    given = {c.name: max(c.floor, min(c.has, fair[c.name])) for c in claims}
    filled = sum(max(c.has, given[c.name]) + c.leaving for c in claims)
    _fill(given, claims, fair, most - filled)
    return given


def _fill(
    given: dict[str, int], claims: Sequence[Claimant], upto: dict[str, int], room: int
) -> None:
    """Hand out places one by one, each to whom it brings to the least share for its weight."""
    floors = {claim.name: claim.floor for claim in claims}
    while room > 0:
        open_claims = [claim for claim in claims if given[claim.name] < upto[claim.name]]
        if not open_claims:
            return
        next_one = min(
            open_claims,
            key=lambda c: ((given[c.name] - floors[c.name] + 1) / c.weight, c.name),
        )
        given[next_one.name] += 1
        room -= 1
