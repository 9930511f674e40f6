"""What `jobd status --explain` says about numbers of processes."""

from __future__ import annotations

from jobd.cli.pool_lines import pool_lines
from jobd.seams.statefile import PoolState


def test_each_queue_has_its_reason() -> None:
    drain = "due 900, drained in 90s by 2 at 5/s each; wanted within 1m: 3"
    pools = {
        "mail": PoolState(target=3, min=1, max=4, why=drain),
        "img": PoolState(target=2, min=2, max=2),
        "new": PoolState(target=1, min=1, max=4),
        "by-hand": PoolState(target=6, min=1, max=4, asked=6, why="6 by hand"),
        "broken": PoolState(target=1, useless=5, gave_up=True),
    }
    assert pool_lines(pools) == [
        "broken   1 of 1: fixed at 1; gave up after 5 that ended without having run a job",
        "by-hand  6 of 1-4: 6 by hand",
        "img      2 of 2: fixed at 2",
        f"mail     3 of 1-4: {drain}",
        "new      1 of 1-4: nothing known yet",
    ]
    assert pool_lines({}) == []
