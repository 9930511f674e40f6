"""A fork bomb, in a group of at most so many processes: the daemon survives it, and nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.daemons import Daemon, eventually

from jobd import Jobd, JobFailed
from jobd.core.config import QueueConfig
from zoo.pids import join, limited, members, refused
from zoo.visit import APP, Neighbour

pytestmark = pytest.mark.process


def test_a_fork_bomb_ends_with_its_worker(redis_url: str, tmp_path: Path) -> None:
    """Killed at its hard timeout, with all that it has become; others' jobs go on meanwhile."""
    env = {"ZOO_CAGES": "inline", "ZOO_DIARY": str(tmp_path / "diary"), "ZOO_TIMEOUT": "1s"}
    with limited(60) as group:
        daemon = Daemon(
            tmp_path, redis_url, APP, queues={"inline": QueueConfig(processes=1)}, env=env
        )
        try:
            daemon.running(2)
            join(group, daemon.process.pid)
            before = len(members(group))
            app = Jobd(redis_url)
            fresh = app.queue("inline").add("look").result("60s")
            with Neighbour(app.queue("meadow")) as neighbour:
                bomb = app.queue("inline").add("fork_bomb")
                eventually("the bomb", lambda: refused(group))
                with pytest.raises(JobFailed, match="timeout"):
                    bomb.result("60s")
                after = app.queue("inline").add("look").result("60s")
            # Ended below the supervisor, one look after another.
            eventually("nothing but the daemon", lambda: len(members(group)) <= before)
            assert fresh["children"] == after["children"]
            assert neighbour.failed == []
            assert len(neighbour.pids) == 1
            daemon.signal(15)
            assert daemon.wait() == 0
        finally:
            daemon.end()
