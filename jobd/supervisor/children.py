"""The child processes the loop holds: a pidfd for each, a channel for each helper.

Invariant: a child is in exactly one of the two tables from the moment its pid is known until its
end was collected; signals go through its pidfd. Whoever is in neither is judged by `strays`: what
began below this daemon and has lost its worker is ended. Called by jobd.supervisor.ears, hands and watched.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from jobd.core.errors import HostError
from jobd.core.events import DaemonSwept, HelperUnstarted, PredecessorUnusable, StraysEnded
from jobd.seams import clock, host, workdir
from jobd.seams.exits import Exit
from jobd.seams.lines import Lines, pair
from jobd.seams.log import Emit
from jobd.seams.mark import Mark, possible
from jobd.seams.sweep import TRACKERS_END_WITHIN, Swept, start_sweeper, sweep
from jobd.supervisor.strays import Fate, Unknown, judge

# A process of an orderly end that does not go away, such as one of another user, is left to the host.
_END_WITHIN = 2.0
# Of so many strays the names are told.
_NAMED = 5
# A pid, and when its process began: together they name one process.
Born = tuple[int, int]


class Child:
    """One process. `channel` is None for workers."""

    def __init__(self, pid: int, pidfd: int, channel: Lines | None = None) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel

    def close(self) -> None:
        """Let go of its descriptors."""
        os.close(self.pidfd)
        if self.channel is not None:
            self.channel.close()


class Children:
    """All children, by what they are called: a helper's name or a worker's incarnation."""

    def __init__(
        self, *, mark: Mark, where: Path, workers: Callable[[], Collection[Born]], emit: Emit
    ) -> None:
        """`workers` gives the processes that the scoreboard names, announced or not.

        `where` is the directory that each helper starts in.
        """
        self.helpers: dict[str, Child] = {}
        self.workers: dict[str, Child] = {}
        self._mark = mark
        self._where = where
        self._on_pages = workers
        self._emit = emit
        self._marking = possible()
        # What runs before the first child is somebody else's: a server `jobd dev` has started, say.
        self._foreign = frozenset(host.children())
        self._sweeper: Child | None = None
        # Who cleans up after a worker, and when it was first seen.
        self._cleaning: dict[int, float] = {}
        self._guard()

    def _guard(self) -> None:
        """Have a sweeper: whatever may end the supervisor, what began below it ends too."""
        if self._sweeper is not None:
            if not host.ended(self._sweeper.pidfd):
                return
            host.reap(self._sweeper.pidfd)
            self._sweeper.close()
            self._sweeper = None
        try:
            pid = start_sweeper(self._mark, self._report)
        except OSError:
            return  # no process to be had: tried again when next looked
        pidfd = host.open_pid(pid)
        assert pidfd is not None  # it is our child and nobody has waited for it
        self._sweeper = Child(pid, pidfd)

    def _report(self, swept: Swept) -> None:
        self._emit(DaemonSwept(ended=len(swept.killed), left=tuple(sorted(swept.left))))

    def start_helper(
        self,
        name: str,
        argv: list[str],
        output: int | None = None,
        *,
        keep: Sequence[int] = (),
        takes_fds: bool = False,
        needs_place: bool = False,
    ) -> Child:
        """Start a helper; `{fd}` in `argv` becomes its end of the channel. Raises HostError.

        `output` becomes its standard output and error, and is closed here; it inherits `keep`. With
        `takes_fds` it may send descriptors. `needs_place`: it is of no use in another directory.
        """
        try:
            child = self._spawn(argv, output, keep, takes_fds=takes_fds, needs_place=needs_place)
        except (OSError, HostError) as refused:
            self._emit(HelperUnstarted(helper=name, why=str(refused)))
            raise HostError(str(refused)) from refused
        finally:
            if output is not None:
                os.close(output)
        self.helpers[name] = child
        return child

    def _spawn(
        self,
        argv: list[str],
        output: int | None,
        keep: Sequence[int],
        *,
        takes_fds: bool,
        needs_place: bool,
    ) -> Child:
        if needs_place and (why := workdir.why_unusable(self._where)):
            raise HostError(why)

        def first() -> None:
            self._mark.wear()
            workdir.enter(self._where, needed=needs_place)

        channel, theirs = pair(takes_fds=takes_fds)
        with theirs:
            fd = theirs.fileno()
            words = [word.replace("{fd}", str(fd)) for word in argv]
            try:
                pid = host.spawn(words, keep=[fd, *keep], output=output, first=first)
            except (OSError, HostError):
                channel.close()
                raise
        # There is a handle for it: the child's end of the channel has just been closed.
        pidfd = host.open_pid(pid)
        assert pidfd is not None  # it is our child and nobody has waited for it
        return Child(pid, pidfd, channel)

    def watch(self, incarnation: str, pid: int) -> Child | None:
        """Hold a worker; None when it has ended and is gone. Raises OSError without a file handle."""
        pidfd = host.open_pid(pid)
        if pidfd is None:
            return None
        child = self.workers[incarnation] = Child(pid, pidfd)
        return child

    def ended(self, table: Mapping[str, Child], name: str) -> Exit | None:
        """Tell how it ended, or None while it runs. What a worker has left in its group ends too."""
        child = table[name]
        if table is self.workers and host.ended(child.pidfd) and not self._is_cleaned_up_after():
            host.kill_group(child.pid)
        return host.reap(child.pidfd)

    def _is_cleaned_up_after(self) -> bool:
        """Say whether somebody removes what a worker has left: of those in its group he is spared."""
        try:
            known = self._known()
            return any(host.is_tracker(pid) for pid in host.children() if pid not in known)
        except OSError:
            return False  # no file handle to look with

    def _known(self) -> set[int]:
        """Name the children that are not to be looked at: what we have started, and what is not ours."""
        ours = {child.pid for child in (*self.helpers.values(), *self.workers.values())}
        return ours | self._foreign | ({self._sweeper.pid} if self._sweeper is not None else set())

    def drop(self, table: dict[str, Child], name: str) -> None:
        """Forget one that has ended."""
        table.pop(name).close()

    def end_strays(self) -> None:
        """Collect adopted zombies, and end what began below us and has nobody it belongs to."""
        try:
            self._end_strays()
        except OSError as refused:
            if refused.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            # Without a file handle nothing can be looked at: the next look comes within a second.

    def _end_strays(self) -> None:
        self._guard()
        known = self._known()
        # Before the pages are read: whoever is a worker among these is on its page by now.
        unknown = [pid for pid in host.children() if pid not in known]
        if not unknown:
            return
        self._cleaning = {pid: at for pid, at in self._cleaning.items() if pid in unknown}
        on_pages = frozenset(self._on_pages())
        ended = [name for pid in unknown if (name := self._treat(pid, on_pages)) is not None]
        if ended:
            self._emit(StraysEnded(count=len(ended), names=tuple(sorted(set(ended))[:_NAMED])))

    def _treat(self, pid: int, on_pages: Collection[Born]) -> str | None:
        """Do with an unknown child as is judged; give its name if it was killed."""
        found = host.stat(pid)
        if found is None:
            return None
        seen = Unknown(
            zombie=found.state == "Z",
            on_a_page=(pid, found.start_ticks) in on_pages,
            marked=self._mark.is_worn_by(pid),
            cleaning=self._is_cleaning(pid),
        )
        match judge(seen, marking=self._marking, first_process=os.getpid() == 1):
            case Fate.COLLECT:
                host.reap_stray(pid)
            case Fate.KILL:
                name = host.name_of(pid)
                # Nobody but us can reap it, so until we do its number stands for it and its group.
                kill_child(pid)
                host.kill_group(pid)
                return name
            case Fate.LEAVE:
                pass
        return None

    def _is_cleaning(self, pid: int) -> bool:
        if not host.is_tracker(pid):
            return False
        now = clock.mono()
        return now < self._cleaning.setdefault(pid, now) + TRACKERS_END_WITHIN

    def end_all(self) -> None:
        """End in order: what still runs below us is killed, and nobody has to do it after us."""
        own = self._foreign | ({self._sweeper.pid} if self._sweeper is not None else set())
        # Whatever began below us has an adopted child of ours above it, or is one.
        if not own.issuperset(host.children()):
            sweep(self._mark, patience=_END_WITHIN)
        if self._sweeper is not None:
            host.send(self._sweeper.pidfd, signal.SIGKILL)
            host.ended(self._sweeper.pidfd, None)
            host.reap(self._sweeper.pidfd)
            self._sweeper.close()


def kill_child(pid: int) -> None:
    """SIGKILL a process if it is a child of this one."""
    pidfd = host.open_pid(pid)
    if pidfd is None:
        return
    found = host.stat(pid)
    if found is not None and found.parent == os.getpid():
        host.send(pidfd, signal.SIGKILL)
    os.close(pidfd)


def unlink(board: str, emit: Emit) -> None:
    """Remove a predecessor's scoreboard."""
    try:
        Path(board).unlink(missing_ok=True)
    except OSError as refused:
        emit(PredecessorUnusable(board=board, why=str(refused)))
