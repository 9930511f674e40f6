"""Why each queue has as many processes as it has, in lines: `jobd status --explain`."""

from __future__ import annotations

from collections.abc import Mapping

from jobd.cli.output import printable
from jobd.seams.statefile import PoolState


def pool_lines(pools: Mapping[str, PoolState]) -> list[str]:
    """Give one line for each queue, of state.json's `pools`."""
    width = max(map(len, pools), default=0)
    return [f"{name:<{width}}  {_line(pool)}" for name, pool in sorted(pools.items())]


def _line(pool: PoolState) -> str:
    line = f"{pool.target} of {_range(pool)}: {printable(_reason(pool))}"
    if not pool.gave_up:
        return line
    return f"{line}; gave up after {pool.useless} that ended without having run a job"


def _range(pool: PoolState) -> str:
    return f"{pool.min}-{pool.max}" if pool.min < pool.max else str(pool.max)


def _reason(pool: PoolState) -> str:
    if pool.why:
        return pool.why
    return "nothing known yet" if pool.min < pool.max else f"fixed at {pool.max}"
