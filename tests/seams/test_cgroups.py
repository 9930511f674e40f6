"""Whose SIGKILL was it: counters in files, and a real kill by the kernel in a group with a limit."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.groups import memory_group

from jobd.seams.cgroups import OomKills, own_counters


def write(file: Path, kills: int) -> None:
    file.write_text(f"low 0\noom 7\noom_kill {kills}\noom_group_kill 0\n")


def test_a_kill_is_explained_once_and_only_by_one_that_is_counted(tmp_path: Path) -> None:
    """Two ends and one kill: the second was somebody else."""
    events = tmp_path / "memory.events"
    write(events, 3)
    kills = OomKills([events])
    kills.note(100.0)
    assert not kills.explains()
    write(events, 4)
    assert kills.explains()
    assert not kills.explains()
    write(events, 6)
    assert [kills.explains() for _ in range(3)] == [True, True, False]


def test_what_was_counted_long_ago_explains_nothing(tmp_path: Path) -> None:
    """It was another's; but a large process may end seconds after it was killed."""
    events = tmp_path / "memory.events"
    write(events, 0)
    kills = OomKills([events])
    kills.note(100.0)
    write(events, 1)
    for late in range(101, 106):
        kills.note(float(late))
    assert kills.explains()
    write(events, 2)
    for late in range(106, 130):
        kills.note(float(late))
    assert not kills.explains()


def test_one_of_several_counters_is_enough_and_none_at_all_says_yes(tmp_path: Path) -> None:
    """A SIGKILL of unknown sender is the kernel's, until something speaks against it."""
    group, host, gone = tmp_path / "a", tmp_path / "b", tmp_path / "c"
    write(group, 1)
    write(host, 5)
    kills = OomKills([group, host, gone])
    kills.note(0.0)
    write(host, 6)
    assert kills.explains()
    assert not kills.explains()
    assert OomKills([gone]).explains()
    gone.write_text("nothing known\n")
    assert OomKills([gone]).explains()


def test_counters_are_found_where_the_group_is_mounted(tmp_path: Path) -> None:
    """Version 2, version 1, and a container that is shown a part of the tree."""
    for name in ("v2/a/b", "v1/x", "part"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "cgroup").write_text("4:cpu,memory:/x\n3:cpuset:/y\n0::/a/b\n")
    (tmp_path / "mountinfo").write_text(
        f"32 31 0:29 / {tmp_path}/v1 rw,relatime shared:1 - cgroup cgroup rw,cpu,memory\n"
        f"41 31 0:38 / {tmp_path}/v2 rw,relatime - cgroup2 cgroup2 rw\n"
    )
    old, new = tmp_path / "v1/x/memory.oom_control", tmp_path / "v2/a/b/memory.events"
    for file in (old, new):
        write(file, 0)
    assert own_counters(tmp_path) == [old, new]
    (tmp_path / "cgroup").write_text("0::/docker/7\n")
    (tmp_path / "mountinfo").write_text(f"1 2 0:3 /docker/7 {tmp_path}/part rw - cgroup2 c rw\n")
    write(tmp_path / "part/memory.events", 0)
    assert own_counters(tmp_path) == [tmp_path / "part/memory.events"]


def test_the_hosts_count_is_asked_only_where_no_groups_can_be_read(tmp_path: Path) -> None:
    """A neighbour's process that the kernel killed says nothing about ours."""
    (tmp_path / "cgroup").write_text("4:memory:/x\n0::/\n")
    (tmp_path / "mountinfo").write_text(
        f"32 31 0:29 / {tmp_path}/v1 rw - cgroup cgroup rw,memory\n41 31 0:38 / {tmp_path}/v2 rw - cgroup2 c rw\n"
    )
    for name in ("v1/x", "v2"):
        (tmp_path / name).mkdir(parents=True)
    assert own_counters(tmp_path) == [Path("/proc/vmstat")]
    # As old kernels have it, without the count.
    control = tmp_path / "v1/x/memory.oom_control"
    control.write_text("oom_kill_disable 0\nunder_oom 0\n")
    assert own_counters(tmp_path) == [Path("/proc/vmstat")]
    write(control, 3)
    assert own_counters(tmp_path) == [control]


def test_here_something_can_be_read() -> None:
    """Our group's counter, or the host's."""
    assert OomKills()._read()


@pytest.fixture
def group() -> Iterator[Path]:
    with memory_group(limit=60_000_000) as made:
        yield made


def test_a_real_kill_by_the_kernel_is_explained_and_ours_is_not(group: Path) -> None:
    """The group's counter grows before the process has ended."""
    counter = group / "memory.oom_control"
    kills = OomKills([counter if counter.exists() else group / "memory.events"])
    kills.note(0.0)

    def ends(*, balloon: bool) -> int:
        pid = os.fork()
        if pid == 0:
            (group / "cgroup.procs").write_text(str(os.getpid()))
            while balloon:
                kept = [b"x" * 10_000_000 for _ in range(40)]
                assert kept
            signal.pause()
        if not balloon:
            os.kill(pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert ends(balloon=False) == -signal.SIGKILL
    assert not kills.explains()
    assert ends(balloon=True) == -signal.SIGKILL
    assert kills.explains()
    assert not kills.explains()
