"""Memory put together into large pages: it is the same memory, and a child's writes are its own."""

from __future__ import annotations

import mmap

from support.forked import forked

from jobd.seams import hugepages
from jobd.seams.hugepages import PAGE


def large() -> int:
    """How much of this process' memory is in large pages, in bytes."""
    with open("/proc/self/smaps_rollup") as file:
        [line] = [line for line in file if line.startswith("AnonHugePages:")]
    return int(line.split()[1]) * 1024


def test_what_was_there_is_there_and_a_child_writes_for_itself() -> None:
    memory = mmap.mmap(-1, 8 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pattern = bytes(range(256)) * (8 * PAGE // 256)
    memory[:] = pattern
    before = large()
    made = hugepages.collapse()
    # Where the kernel does not do it nothing is made, and that is no error.
    assert large() >= before + min(made, 1) * PAGE
    assert memory[:] == pattern

    def child() -> object:
        memory[0:4] = b"mine"
        return memory[0:4] == b"mine" and memory[4:] == pattern[4:]

    assert forked(child) is True
    assert memory[:] == pattern
    memory.close()


def test_no_more_than_asked_for() -> None:
    with mmap.mmap(-1, 8 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:] = b"x" * len(memory)
        assert hugepages.collapse(2) <= 2
        assert hugepages.collapse(0) == 0
