"""Duty: what people ask of this host's daemon on another host: a worker replaced, or stacks.

Invariant: nothing else can be asked for so, and nothing that loses work; an order is taken out of Redis
before it is carried out, and is left alone when its time is over. The daemon is asked in a thread, since it
may take a second to answer and no duty waits for that. Called by jobd.keeper.loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jobd.broker.connection import Client
from jobd.broker.host_orders import HostOrders, Order
from jobd.core.errors import BrokerError, JobdError
from jobd.core.events import Event
from jobd.core.host_events import OrderCarriedOut
from jobd.seams.asking import Daemon
from jobd.seams.clock import mono
from jobd.seams.place import key_of
from jobd.seams.requests import BUSY, UNKNOWN_REQUEST, Answer, Dump, Recycle, Refusal

# One look at one key.
EVERY = 1.0
# So many are carried out at once.
MOST = 4
_WITHIN = 2.5


class Orderly:
    """Takes and carries out what one daemon is asked for."""

    def __init__(
        self, client: Client, namespace: str, runtime_dir: Path, emit: Callable[[Event], None]
    ) -> None:
        self._orders = HostOrders(client, namespace)
        self._runtime_dir = runtime_dir
        self._key = key_of(runtime_dir)
        self._emit = emit
        self._places = threading.Semaphore(MOST)
        self._due = 0.0

    def work(self, now: float) -> None:
        """Take what there is, if it is time to look. Raises BrokerError."""
        if now < self._due:
            return
        self._due = now + EVERY
        began = mono()
        for order in self._orders.take(self._key):
            until = began + order.left_ms / 1000
            thread = threading.Thread(
                target=self._do, args=(order, until), name="order", daemon=True
            )
            thread.start()

    def _do(self, order: Order, until: float) -> None:
        if self._places.acquire(blocking=False):
            try:
                answer = self._carry_out(order, until)
            finally:
                self._places.release()
        else:
            answer = Answer(error=Refusal(BUSY, f"order: {MOST} are carried out; expected fewer"))
        request = order.request
        what = "?" if isinstance(request, Refusal) else type(request).__name__.lower()
        why_not = None if answer.error is None else answer.error.message
        slot = getattr(request, "slot", None)
        self._emit(OrderCarriedOut(what=what, slot=slot, by=order.by, why_not=why_not))
        with suppress(BrokerError):  # then whoever waits says that no answer came
            self._orders.answer(order.id, answer)

    def _carry_out(self, order: Order, until: float) -> Answer:
        request = order.request
        if isinstance(request, Refusal):
            return Answer(error=request)
        if not isinstance(request, Dump | Recycle):
            why = "only a worker's recycling and stacks can be asked for on another host"
            return Answer(error=Refusal(UNKNOWN_REQUEST, f"order: {why}"))
        if (left := until - mono()) <= 0:
            return Answer(error=Refusal("late", "order: it came too late, and was not carried out"))
        try:
            with Daemon.reach(self._runtime_dir, within=min(left, _WITHIN)) as daemon:
                return Answer(ok=daemon.ask(request, within=_WITHIN))
        except JobdError as error:
            return Answer(error=Refusal(error.code, str(error)))
        except OSError as error:
            return Answer(error=Refusal("jobd.no_daemon", f"{self._runtime_dir}: {error}"))
