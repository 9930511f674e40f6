"""Each job finds its process as the first one did, whatever the one before has done to it.

    a job has ended ─► look ─► nothing: go on | something differs: put it back | it cannot be: recycle

**What is put back**: signal handlers and mask, timers, umask, working directory, environment, limits,
priority, locale, time zone, `sys.stdout` and the like (jobd.seams.surroundings); and what a job has left running
below the worker is killed (jobd.seams.leftovers). What cannot be undone - a limit that was lowered for
good, a descriptor of ours that was closed - ends the worker as soon as what it has is settled, with
exit code RECYCLED and the reason in its page. Modules, globals and caches are the application's own
and stay, and so does what it opens: a pool of connections is there to be kept.

**When.** A look costs 20 us, and 130 among jobs: it touches much that is in no cache by then. A quick job
costs 5. So it is taken while Redis answers, or after a thousand quick jobs, of tasks that were looked after
alone before. In between it is taken at once when the job was *told of* (jobd.seams.told): the calls that
change most of it say so, for nothing where nobody calls them. A task that was found to change things untold
runs alone from then on (`Costs.suspect`).

**Who else runs here?** A process has one working directory and one umask for all that run in it, so
where several do, a look waits for a moment in which none does: others may rely on what it would put
back. The loops see to that; this is called when nobody's code runs, in the main thread.
"""

from __future__ import annotations

import errno
from collections.abc import Callable

from jobd.core.events import Event
from jobd.core.job_events import LeftoversEnded, ProcessChanged, WorkerRecycles
from jobd.seams.clock import monotonic
from jobd.seams.descriptors import Guarded, share_open
from jobd.seams.exits import Reason
from jobd.seams.leftovers import Leftovers, has_children
from jobd.seams.scoreboard_page import Page
from jobd.seams.stop import Stop
from jobd.seams.surroundings import Surroundings
from jobd.seams.told import Told
from jobd.worker.doers import NOBODY, Doers

# How many files are open, and what lies beneath Python, takes longer to see.
CLOSELY_EVERY = 0.1
COLLECT_EVERY = 10.0
_MOST_OPEN = 0.8
_STANDARD = (0, 1, 2)
_REASONS = {"limits": Reason.LIMITS, "credentials": Reason.CREDENTIALS}


class Pristine:
    """Keeps one worker's process as it was when this was made, before its first job."""

    def __init__(
        self,
        *,
        page: Page,
        stop: Stop,
        emit: Callable[[Event], None],
        afterwards: Callable[[], None] = lambda: None,
    ) -> None:
        """`afterwards`: see Surroundings."""
        self.reason = Reason.NONE
        """Why this process is not to go on."""
        self._page = page
        self._stop = stop
        self._emit = emit
        self._leftovers = Leftovers()
        self._collect_at = 0.0
        self._surroundings = Surroundings(afterwards)
        self._guarded = Guarded(
            (*_STANDARD, *stop.descriptors, self._surroundings.directory.descriptor)
        )
        self.links_are_sound: Callable[[], bool] = lambda: True
        """Says whether the connections to Redis are what they were; whoever has them sets this."""
        # Where the application itself has opened as many, a fresh process would be no better.
        self._most_open = max(_MOST_OPEN, (1 + share_open()) / 2)
        self._closely_at = 0.0
        self._said: set[tuple[str, str]] = set()
        self._told = Told(self._heard)

    def guard(self, *descriptors: int) -> None:
        """Count these among what no task may close."""
        self._guarded.add(*descriptors)

    def start(self) -> None:
        """Hear of changes from now on. What this process is to the kernel is by now what it stays."""
        self._surroundings.settle()
        self._told.listen()

    def _heard(self) -> None:
        self._stop.attention = True

    def look(self, doers: Doers) -> bool:
        """Put the process in order after these. True when one has changed what nobody told of.

        A process that cannot even be looked at ends like one that cannot be put in order. It must not
        crash of that: what its jobs have done would not be recorded, and be done again.
        """
        try:
            return self._look(doers)
        except OSError as error:
            many = error.errno in (errno.EMFILE, errno.ENFILE)
            reason = Reason.FILES if many else Reason.SURROUNDINGS
            self.condemn(reason, f"this process cannot be looked at: {error}", doers)
            return False

    def _look(self, doers: Doers) -> bool:
        told = self._told.take()
        if has_children():
            self._end_leftovers(doers)
        closely = monotonic() > self._closely_at
        changes = self._surroundings.put_back(told, closely=closely)
        self._told.take()  # what we have just done is not to be looked after
        if changes.restored:
            self._say_changed(doers, changes.restored)
        for name, why in changes.lost:
            self.condemn(_REASONS.get(name, Reason.SURROUNDINGS), f"{name}: {why}", doers)
        self._look_at_descriptors(doers)
        if closely:
            self._closely_at = monotonic() + CLOSELY_EVERY
        if closely or told:
            self._count_files(doers)
        return not told and bool(changes.restored)

    def collect(self) -> None:
        """Collect processes that have ended and are nobody's, now and then. For where some job always
        runs: what they leave is adopted by this process, and a look may be long in coming."""
        now = monotonic()
        if now > self._collect_at:
            self._collect_at = now + COLLECT_EVERY
            self._leftovers.collect_old()

    def condemn(self, reason: Reason, why: str, doers: Doers = NOBODY) -> None:
        """Have this worker settle what it has, and end."""
        if self.reason is not Reason.NONE:
            return
        task, job, token = doers.names()
        self._emit(WorkerRecycles(task=task, job=job, token=token, reason=reason.word, why=why))
        self.retire(reason)

    def retire(self, reason: Reason) -> None:
        """End as one that was condemned does, where no task has done anything."""
        if self.reason is Reason.NONE:
            self.reason = reason
            self._page.set_reason(reason)
        self._stop.ask()

    def _end_leftovers(self, doers: Doers) -> None:
        ended = self._leftovers.end()
        if not ended.all:
            self.condemn(Reason.PROCESSES, "processes a job has left do not end", doers)
        if not ended.processes:
            return
        task, job, token = doers.names()
        if self._is_new(task, "leftovers"):
            count = ended.processes
            self._emit(LeftoversEnded(task=task, job=job, token=token, processes=count))
        if ended.held:
            why = "its code still holds processes that were left running, and would find them dead"
            self.condemn(Reason.PROCESSES, why, doers)

    def _look_at_descriptors(self, doers: Doers) -> None:
        if lost := self._guarded.lost():
            numbers = ", ".join(map(str, lost))
            self.condemn(Reason.DESCRIPTORS, f"closed or replaced: {numbers}", doers)
        elif not self.links_are_sound():
            self.condemn(Reason.DESCRIPTORS, "a connection to Redis was closed or replaced", doers)

    def _count_files(self, doers: Doers) -> None:
        if (share := share_open()) > self._most_open:
            self.condemn(Reason.FILES, f"{share:.0%} of the files it may open are open", doers)

    def _say_changed(self, doers: Doers, what: tuple[str, ...]) -> None:
        task, job, token = doers.names()
        new = tuple(name for name in what if self._is_new(task, name))
        if new:
            self._emit(ProcessChanged(task=task, job=job, token=token, what=new))

    def _is_new(self, task: str, what: str) -> bool:
        if (task, what) in self._said:
            return False
        self._said.add((task, what))
        return True
