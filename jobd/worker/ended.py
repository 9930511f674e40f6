"""What has ended and is not known to be settled: two lines, taken in bites that one answer can cover.

A bite is bounded in bytes as well as in jobs: on a slow link what is sent at once has to be answered
within the link's patience, and what was answered is never sent again. Invariant: whoever takes, takes
with each job all that its lane has ended before it. The keeper relies on that (jobd.keeper.revoke).
So each ending knows how many plain completions stood before it, and both lines are cut at one place.

Lanes append to `done` themselves, without a lock: a plain completion costs nothing here. Only results
that are no small ones are weighed, and they alone make a worker stop and settle first (`is_full`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from jobd.broker.bites import DONE_BITE, ENDINGS_BITE, SETTLE_BYTES
from jobd.broker.commands import Command, Completed, Ending

# A result up to here is not weighed: a whole bite of them is still half of what may go at once.
LIGHT = SETTLE_BYTES // 2 // DONE_BITE
# So much unsettled, and nothing more begins.
MOST_BYTES = 4 * SETTLE_BYTES

Weigher = Callable[[bytes, int], int]
"""Says how many bytes of notes go with a job: its id, its claim."""


class Bite(NamedTuple):
    """What one call settles. `after` says for each ending how many completions were before it."""

    done: list[Completed]
    endings: list[Ending]
    after: list[int]


class Ended:
    """The ends of one worker's jobs. Any thread may use it."""

    def __init__(self) -> None:
        self.done: deque[Completed] = deque()
        self.endings: deque[Ending] = deque()
        self._after: deque[int] = deque()
        self._taken = 0  # of all that were ever in `done`
        self._waiting = 0  # bytes in the lines, small results not counted
        self._away = 0  # bytes taken, and not settled yet
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether so much is unsettled that nothing more shall begin."""
        return self._waiting + self._away > MOST_BYTES

    def end(self, ending: Ending) -> None:
        """Record an end other than plain completion."""
        with self._lock:
            self._after.append(self._taken + len(self.done))
            self.endings.append(ending)
            self._waiting += _size_of(ending) - _heavy(ending)  # that was weighed by itself

    def weigh(self, size: int) -> None:
        """Count a result above LIGHT, just before its job's end is recorded."""
        with self._lock:
            self._waiting += size

    def take(self, notes: int = 0, notes_of: Weigher = lambda _id, _claim: 0) -> list[Bite]:
        """Take from the front what may go at once; `notes` bytes go with all that there is."""
        if not (self.done or self.endings):
            return []
        with self._lock:
            small = self._waiting + notes <= SETTLE_BYTES // 2
            count = len(self.done)
            if small and count <= DONE_BITE and len(self.endings) <= ENDINGS_BITE:
                bites = [self._pop(count, len(self.endings))]
            else:
                bites = self._cut(count, notes_of)
            if self._waiting:
                weight = sum(map(_weight, bites))
                self._waiting -= weight
                self._away += weight
        return bites

    def put_back(self, bites: list[Bite]) -> None:
        """Have what was taken and not answered settled again, before all else."""
        with self._lock:
            for bite in reversed(bites):
                self.done.extendleft(reversed(bite.done))
                self.endings.extendleft(reversed(bite.endings))
                self._after.extendleft(reversed(bite.after))
                self._taken -= len(bite.done)
            weight = self._arrived(bites)
            self._waiting += weight

    def settled(self, bites: list[Bite]) -> None:
        """Hear that what was taken is settled."""
        if self._away:
            with self._lock:
                self._arrived(bites)

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._taken += len(self.done)
            self.done.clear()
            self.endings.clear()
            self._after.clear()
            self._waiting = 0

    def _arrived(self, bites: list[Bite]) -> int:
        weight = sum(map(_weight, bites))
        self._away -= weight
        return weight

    def _pop(self, done: int, endings: int) -> Bite:
        self._taken += done
        return Bite(
            [self.done.popleft() for _ in range(done)],
            [self.endings.popleft() for _ in range(endings)],
            [self._after.popleft() for _ in range(endings)],
        )

    def _cut(self, count: int, notes_of: Weigher) -> list[Bite]:
        """Take one after another in the order in which they ended, while there is room."""
        bites = [Bite([], [], [])]
        room, end = SETTLE_BYTES, self._taken + count
        while True:
            is_ending = bool(self.endings) and self._after[0] <= self._taken
            if not is_ending and self._taken == end:
                return bites
            job = self.endings[0] if is_ending else self.done[0]
            size = _size_of(job) + notes_of(job.id, job.claim)
            if size > room < SETTLE_BYTES:
                return bites
            room -= size
            if len(bites[-1].done) == DONE_BITE or len(bites[-1].endings) == ENDINGS_BITE:
                bites.append(Bite([], [], []))
            self._move(bites[-1], is_ending=is_ending)

    def _move(self, bite: Bite, *, is_ending: bool) -> None:
        if is_ending:
            bite.endings.append(self.endings.popleft())
            bite.after.append(self._after.popleft())
        else:
            self._taken += 1
            bite.done.append(self.done.popleft())


def _size_of(job: Completed | Ending) -> int:
    """Say how many bytes of a call settle a job, about."""
    if isinstance(job, Completed):
        return 64 + len(job.result)
    fields = job.fields.items()
    return 128 + sum(
        len(name) + (8 if isinstance(said, int) else len(said)) for name, said in fields
    )


def _heavy(job: Completed | Ending) -> int:
    """Give the size of a job's result, if it is no small one."""
    result = job.result if isinstance(job, Completed) else job.fields.get("result", b"")
    return len(result) if isinstance(result, bytes) and len(result) > LIGHT else 0


def _weight(bite: Bite) -> int:
    return sum(map(_heavy, bite.done)) + sum(map(_size_of, bite.endings))


def settles(
    settle: Callable[..., Command], bites: list[Bite], sums: Sequence[str | int] = ()
) -> list[Command]:
    """Spell the calls that settle bites, to be sent together; `settle` spells one."""
    first, *rest = bites
    head = settle(completed=first.done, endings=first.endings, sums=sums)
    return [head, *(settle(completed=bite.done, endings=bite.endings) for bite in rest)]


def ids_of(bites: Iterable[Bite]) -> Iterator[tuple[bytes, int]]:
    """Give (job, claim) of each that is in them, if anybody asks."""
    for bite in bites:
        yield from ((job.id, job.claim) for job in bite.done)
        yield from ((job.id, job.claim) for job in bite.endings)
