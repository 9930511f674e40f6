"""outbox.json: what this host has to tell for itself, since Redis is away; until each sink has been told.

Invariant: a reader sees the old file or the new one, so a notification that was taken in survives any
end of the process, and what was told is told again only if it ended right then (I-48). One process
at a time; any of its threads. What cannot be written is told all the same, from memory.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from jobd.core.alerts.delivery import KEPT, LEASE, MOST, Delivery
from jobd.core.alerts.notification import Notification
from jobd.core.delivery_events import OutboxUnreadable, OutboxUnwritten
from jobd.core.events import Event
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.seams.clock import mono, wall_ms

NAME = "outbox.json"
# Nothing is put off for longer: a time beyond that was written under another wall clock.
_FARTHEST_MS = 2 * 3600 * 1000


class _Turn(msgspec.Struct):
    """One sink that is still to be told: tries so far, and when it is due, ms since 1970."""

    tries: int = 0
    due_ms: int = 0


class _Entry(msgspec.Struct):
    """One notification, since when it stands here, and who is still to be told."""

    notification: Notification
    since_ms: int
    left: dict[str, _Turn]


class _File(msgspec.Struct):
    """The whole file, the oldest first."""

    version: int = 1
    dropped: int = 0
    entries: list[_Entry] = []


class FileOutbox:
    """A box of one host. `now_ms` and `mono` are clocks, for tests."""

    def __init__(
        self,
        path: Path,
        *,
        emit: Callable[[Event], None],
        most: int = MOST,
        lease: float = LEASE,
        now_ms: Callable[[], int] = wall_ms,
        mono: Callable[[], float] = mono,
    ) -> None:
        """Read the file at `path`, if there is one. One that cannot be read is moved aside, and said."""
        self._path = path
        self._emit = emit
        self._most = most
        self._lease = lease
        self._now_ms = now_ms
        self._mono = mono
        self._lock = threading.Lock()
        self._taken: dict[tuple[str, str], float] = {}
        self._unwritten = False
        self._file = self._read()

    def add(self, notification: Notification, sinks: Sequence[str]) -> int:
        """Have it told to these sinks; give how many deliveries of the oldest were dropped for it."""
        with self._lock:
            entries = self._file.entries
            if not sinks or any(each.notification.id == notification.id for each in entries):
                return 0
            entries.append(_Entry(notification, self._now_ms(), {sink: _Turn() for sink in sinks}))
            surplus = entries[: max(0, len(entries) - self._most)]
            del entries[: len(surplus)]
            dropped = sum(len(each.left) for each in surplus)
            self._file.dropped += dropped
            self._write()
            return dropped

    def take(self, sinks: Sequence[str], limit: int = 1) -> list[Delivery]:
        """Take what is due for these sinks. Nobody else gets it until the lease is over."""
        with self._lock:
            taken: list[Delivery] = []
            lines: set[tuple[str, str]] = set()
            now, clock = self._now_ms(), self._mono()
            self._drop_old(now)
            if self._unwritten:  # there may be room again
                self._write()
            for entry in self._file.entries:
                for sink in entry.left.keys() & set(sinks):
                    line = (sink, entry.notification.rule)
                    if len(taken) < limit and line not in lines:
                        taken += self._take(entry, sink, now, clock)
                    lines.add(line)
            return taken

    def _drop_old(self, now: int) -> None:
        """Nobody here has these sinks any more: nobody is to hear of it when one comes back."""
        kept = [each for each in self._file.entries if now - each.since_ms <= KEPT * 1000]
        if len(kept) < len(self._file.entries):
            before = sum(len(each.left) for each in self._file.entries)
            self._file.dropped += before - sum(len(each.left) for each in kept)
            self._file.entries = kept
            self._write()

    def _take(self, entry: _Entry, sink: str, now: int, clock: float) -> list[Delivery]:
        key, turn = (entry.notification.id, sink), entry.left[sink]
        is_due = turn.due_ms <= now or turn.due_ms > now + _FARTHEST_MS
        if not is_due or self._taken.get(key, clock) > clock:
            return []
        self._taken[key] = clock + self._lease
        # Not written: when this process dies over it, it is due again at once.
        turn.tries += 1
        return [
            Delivery(
                id=entry.notification.id, sink=sink, tries=turn.tries,
                waited=max(0, now - entry.since_ms) / 1000, notification=entry.notification,
            )
        ]  # fmt: skip

    def done(self, delivery: Delivery) -> None:
        """It was told."""
        with self._lock:
            self._taken.pop((delivery.id, delivery.sink), None)
            for entry in self._file.entries:
                if entry.notification.id == delivery.id and delivery.sink in entry.left:
                    del entry.left[delivery.sink]
                    self._file.entries = [each for each in self._file.entries if each.left]
                    self._write()
                    break

    def again(self, delivery: Delivery, delay: float) -> None:
        """It is due again in `delay` seconds."""
        with self._lock:
            for entry in self._file.entries:
                turn = entry.left.get(delivery.sink)
                if entry.notification.id == delivery.id and turn and turn.tries == delivery.tries:
                    self._taken.pop((delivery.id, delivery.sink), None)
                    turn.due_ms = self._now_ms() + round(delay * 1000)
                    self._write()

    def give_up(self, delivery: Delivery) -> None:
        """It is not tried any more."""
        self.done(delivery)

    def dropped(self) -> int:
        """Give how many deliveries were ever dropped: there were too many, or nobody has the sink."""
        return self._file.dropped

    def __len__(self) -> int:
        return len(self._file.entries)

    def _read(self) -> _File:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except (OSError, *UNREADABLE_JSON) as bad:
            aside = self._path.with_suffix(".unreadable")
            why = str(bad)
            try:
                self._path.replace(aside)
            except OSError as stuck:
                why = f"{why}; nor can it be moved: {stuck.strerror}"
            self._emit(OutboxUnreadable(aside=str(aside), why=why))
            return _File()

    def _write(self) -> None:
        fresh = self._path.with_suffix(".new")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
            with open(os.open(fresh, flags, 0o600), "wb") as file:  # noqa: PTH123 - the mode is set at creation
                file.write(msgspec.json.encode(self._file))
            fresh.replace(self._path)
        except OSError as error:
            if not self._unwritten:
                self._emit(OutboxUnwritten(why=f"{self._path}: {error.strerror or error}"))
            self._unwritten = True
        else:
            self._unwritten = False
