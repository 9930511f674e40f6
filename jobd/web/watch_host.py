"""Looking at the runtime directory: who works here, and does it get on?

The scoreboard is mapped once; state.json is read when it has changed. Neither needs Redis, nor asks
the supervisor anything.
"""

from __future__ import annotations

from msgspec.structs import replace

from jobd.core.health import HostSeen, PageSeen, QueueSeen, followed
from jobd.seams import statefile
from jobd.seams.clock import mono
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView, Phase
from jobd.seams.statefile import State

EVERY = 0.5


class HostWatch:
    """Looks at one daemon's files. Read `seen`."""

    def __init__(self, board: Scoreboard) -> None:
        self.seen = HostSeen()
        self._board = board
        self._directory = board.path.parent
        self._state: State | None = None
        self._version = (0, 0)

    def look(self) -> None:
        """Look once."""
        now = mono()
        if (stale := self._board.stale_since()) is not None:
            # Who works where would be guessed: nothing of what the file says is taken for true.
            self.seen = HostSeen(looked_at=now, stale_since=stale)
            return
        try:
            state = self._read()
        except (OSError, ValueError) as error:
            self.seen = replace(self.seen, looked_at=now, trouble=str(error))
            return
        if state is None:
            return  # it is about to be written
        pages = self._pages(state)
        before = self.seen.queues
        queues = {
            name: followed(
                before.get(name),
                QueueSeen(wanted=pool.target, gave_up=pool.gave_up),
                pages.get(name, []),
                now,
            )
            for name, pool in state.pools.items()
        }
        self.seen = HostSeen(
            looked_at=now,
            queues=queues,
            down=state.down,
            reload_refused=state.reload_error is not None,
        )

    def _read(self) -> State | None:
        """Give the state of our daemon; None while the file is still a predecessor's."""
        try:
            found = (self._directory / statefile.NAME).stat()
        except FileNotFoundError:
            return None
        version = (found.st_ino, found.st_mtime_ns)
        if version != self._version:
            self._state = statefile.read(self._directory)
            self._version = version
        state = self._state
        return state if state is not None and state.scoreboard == self._board.path.name else None

    def _pages(self, state: State) -> dict[str, list[PageSeen]]:
        """List the workers that fill a slot and have joined, by queue."""
        filling = {
            slot.incarnation
            for slots in state.queues.values()
            for slot in slots
            if slot.phase == "running"
        }
        found: dict[str, list[PageSeen]] = {}
        for view in self._board.views():
            if view.incarnation in filling and view.phase in (Phase.IDLE, Phase.BUSY):
                found.setdefault(view.queue, []).append(_page(view))
        return found


def _page(view: PageView) -> PageSeen:
    return PageSeen(queue=view.queue, asked=view.asked, busy=len(view.cells), cells=view.count)
