"""The doctor ends with a code of sysexits(3): that of what is to be mended first."""

from __future__ import annotations

import pytest

from jobd.core.doctor.exit_code import exit_code
from jobd.core.doctor.finding import error, note, ok, warning


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (["config.file"], 78), (["limits.files"], 78), (["place.rights"], 78), (["stop.systemd"], 78),
        (["daemon.reload"], 78), (["daemon.state"], 78), (["redis.permitted"], 77), (["redis.reachable"], 69),
        (["redis.memory"], 69), (["sentinel.quorum"], 69), (["daemon.running"], 70),
        (["orphans.leases"], 70), (["what.comes_later"], 70), ([], 0),
        (["orphans.leases", "daemon.gave_up", "redis.reachable", "config.file"], 78),
        (["orphans.leases", "redis.reachable", "redis.permitted"], 77),
        (["daemon.helpers", "redis.reachable"], 69),
    ],
)  # fmt: skip
def test_what_is_to_be_mended_first_decides(names: list[str], code: int) -> None:
    """A daemon may be unwell for want of Redis, and that for want of a right address."""
    others = [ok("config.file", ""), note("redis.user", "", ""), warning("limits.memory", "", "")]
    assert exit_code([*others, *(error(name, "", "") for name in names)]) == code
