"""Telling people: from the outboxes to the sinks, a thread for each.

Invariant: each notification reaches each sink at least once, under one id, those of a rule in their order,
or is given up and said so (I-48). A sink that is slow holds up no other, nor whoever looks at the rules.
While nobody dies it is told once: what was told, and could not be noted at that moment, is noted later.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

from jobd.alerter.address import Resolver
from jobd.alerter.sinks.kinds import posts
from jobd.alerter.sinks.post import shown
from jobd.alerter.transfer import carry
from jobd.core.alerts.delivery import Delivery, Outbox
from jobd.core.alerts.notification import Notification
from jobd.core.alerts.sending import Refused, Sent, pause_before
from jobd.core.config_alerts import SinkConfig
from jobd.core.delivery_events import AlertGivenUp, AlertRefused, AlertsDropped, AlertSent
from jobd.core.errors import BrokerError
from jobd.core.events import Event
from jobd.seams.clock import mono, wall

LOOK_EVERY = 1.0
"""How often a sink's thread looks into the outboxes, in seconds. `wake` makes it look at once."""

# An outbox that could not be looked into is left alone for so many looks: a Redis that hangs takes two
# seconds each time.
_LEFT_ALONE = 2
# Whether notifications were dropped is looked at once in so many looks.
_LOOKS = 30


def send_now(
    sink: SinkConfig,
    note: Notification,
    *,
    resolver: Resolver | None = None,
    now: Callable[[], float] = wall,
) -> Sent | Refused:
    """Tell one sink of one notification, once. Blocking, for about `sink.timeout` at most."""
    try:
        wanted = posts(sink, note, now())
    except ValueError as bad:
        return Refused(f"secret of sink {sink.name!r}: {bad}", "rejected")
    return carry(
        wanted, resolver=resolver or Resolver(), allow_private=sink.allow_private,
        timeout=sink.timeout, now=now,
    )  # fmt: skip


class Deliverer:
    """All sinks of this host. `start` it once, and `check` it now and then."""

    def __init__(
        self,
        sinks: Sequence[SinkConfig],
        outboxes: Sequence[Outbox],
        *,
        emit: Callable[[Event], None],
        resolver: Resolver | None = None,
        look_every: float = LOOK_EVERY,
        draw: Callable[[], float] = random.random,
        pause: Callable[..., float | None] = pause_before,
        on_sent: Callable[[str, str], None] = lambda _id, _sink: None,
    ) -> None:
        """`outboxes` are looked into in this order: those that cannot hang first. `draw` and `pause`
        are the dice and the rule of the pauses between tries; tests give others. `emit` and
        `on_sent` (with the id and the sink of what was told) are called by several threads."""
        resolver = resolver or Resolver()
        self._sinks = [
            _Sink(
                sink, outboxes, emit=emit, resolver=resolver, look_every=look_every, draw=draw,
                pause=pause, on_sent=on_sent,
            )
            for sink in sinks
        ]  # fmt: skip
        if self._sinks:
            self._sinks[0].losses = _Losses(outboxes, emit)

    def start(self) -> None:
        """Begin."""
        for sink in self._sinks:
            sink.start()

    def wake(self) -> None:
        """There is something new in an outbox: look now."""
        for sink in self._sinks:
            sink.bell.set()

    def check(self) -> None:
        """Raise what ended a thread that should not have ended."""
        for sink in self._sinks:
            if sink.error is not None:
                raise sink.error

    def stop(self, within: float = 5.0) -> None:
        """Begin nothing more; wait for what is under way, for `within` seconds in all.

        What is not done by then is due again when its lease is over, here or on another host.
        """
        end = mono() + within
        for sink in self._sinks:
            sink.stopping = True
            sink.bell.set()
        for sink in self._sinks:
            sink.join(max(0.0, end - mono()))


class _Losses:
    """Says it when an outbox has dropped something, whoever put too much into it."""

    def __init__(self, outboxes: Sequence[Outbox], emit: Callable[[Event], None]) -> None:
        self._outboxes = list(outboxes)
        self._seen: list[int | None] = [None] * len(self._outboxes)
        self._emit = emit

    def look(self) -> None:
        for at, outbox in enumerate(self._outboxes):
            before = self._seen[at]
            try:
                self._seen[at] = now = outbox.dropped()
            except BrokerError:
                continue
            if before is not None and now > before:
                self._emit(AlertsDropped(deliveries=now - before))


class _Sink(threading.Thread):
    """One sink's thread. A daemon thread: a receiver that hangs does not keep the process from ending."""

    def __init__(
        self,
        sink: SinkConfig,
        outboxes: Sequence[Outbox],
        *,
        emit: Callable[[Event], None],
        resolver: Resolver,
        look_every: float,
        draw: Callable[[], float],
        pause: Callable[..., float | None],
        on_sent: Callable[[str, str], None],
    ) -> None:
        super().__init__(name=f"sink {sink.name}", daemon=True)
        self.bell = threading.Event()
        self.stopping = False
        self.error: BaseException | None = None
        self.losses: _Losses | None = None
        self._sink = sink
        self._to = shown(sink.url)
        self._outboxes = list(outboxes)
        self._emit = emit
        self._resolver = resolver
        self._look_every = look_every
        self._draw = draw
        self._pause = pause
        self._on_sent = on_sent
        self._held_until = 0.0
        self._away_until = [0.0] * len(self._outboxes)
        self._owed: list[tuple[int, Callable[[], None]]] = []

    def run(self) -> None:
        """Look and tell, until told to stop."""
        try:
            look_at: float = mono()
            while not self.stopping:
                self.bell.clear()
                if self.losses is not None and mono() >= look_at:
                    look_at = mono() + _LOOKS * self._look_every
                    self.losses.look()
                if not self._round():
                    self.bell.wait(self._look_every)
        except BaseException as error:  # noqa: BLE001 - `check` raises it again, in the main thread
            self.error = error

    def _round(self) -> bool:
        """Tell what is due; answer whether there was anything."""
        self._pay()
        told = False
        for at, outbox in enumerate(self._outboxes):
            if self.stopping or mono() < max(self._held_until, self._away_until[at]):
                continue
            try:
                taken = outbox.take([self._sink.name])
            except BrokerError:  # said by those who need Redis more
                self._away_until[at] = mono() + _LEFT_ALONE * self._look_every
                continue
            for delivery in taken:
                self._owed.append((at, self._tell(outbox, delivery)))
                self._pay()
                told = True
        return told

    def _tell(self, outbox: Outbox, delivery: Delivery) -> Callable[[], None]:
        """Try once; give what is to be noted in the outbox."""
        note = delivery.notification
        if note is None:
            outcome: Sent | Refused = Refused("it stands in the outbox and cannot be read", "gone")
        else:
            outcome = send_now(self._sink, note, resolver=self._resolver)
        facts: dict[str, Any] = {
            "rule": note.rule if note else "?", "status": note.status if note else "?",
            "sink": self._sink.name, "to": self._to, "id": delivery.id, "tries": delivery.tries,
        }  # fmt: skip
        if isinstance(outcome, Sent):
            self._on_sent(delivery.id, delivery.sink)
            self._emit(AlertSent(**facts))
            return lambda: outbox.done(delivery)
        pause = self._pause(
            outcome, tries=delivery.tries, waited=delivery.waited, draw=self._draw()
        )
        if pause is None:
            self._emit(AlertGivenUp(**facts, why=outcome.why))
            return lambda: outbox.give_up(delivery)
        if outcome.after is not None:
            # It asked for a pause: that is meant for all that we have to say to it.
            self._held_until = mono() + outcome.after
        self._emit(AlertRefused(**facts, why=outcome.why, retry_in=pause))
        return lambda: outbox.again(delivery, pause)

    def _pay(self) -> None:
        """Note in the outboxes what became of deliveries, as far as they can be reached now."""
        owed, self._owed = self._owed, []
        for at, note_it in owed:
            try:
                if mono() >= self._away_until[at]:
                    note_it()
                    continue
            except BrokerError:
                self._away_until[at] = mono() + _LEFT_ALONE * self._look_every
            self._owed.append((at, note_it))
