"""The supervisor's loop: wait, turn what happened into observations, step, carry out, tell.

Invariant: it decides nothing; all it knows beside the fleet is which descriptor belongs to whom.
One thread. `ears` hear, `step` decides, `hands` do, `telling` tells.
"""

from __future__ import annotations

import selectors
from collections import deque
from pathlib import Path

from jobd.seams import clock
from jobd.seams.control import Control
from jobd.seams.host import Signals
from jobd.seams.log import Log
from jobd.seams.systemd import Notifier
from jobd.supervisor.channels import Channels
from jobd.supervisor.children import Children
from jobd.supervisor.clients import Clients
from jobd.supervisor.configuration import Configuration
from jobd.supervisor.dumps import Dumps
from jobd.supervisor.ears import Ears
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.hands import Hands
from jobd.supervisor.orders import Observation, Ticked
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.paper import StatePaper
from jobd.supervisor.selfcheck import Pulse
from jobd.supervisor.settle import next_deadline
from jobd.supervisor.step import step
from jobd.supervisor.telling import Telling
from jobd.supervisor.watched import Watched


class Loop:
    """One daemon's supervision, from the first helper to the exit code."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        outlook: Outlook,
        outlets: Outlets,
        children: Children,
        signals: Signals,
        control: Control,
        configuration: Configuration,
        runtime_dir: Path,
        where: Path,
        notifier: Notifier,
        emit: Log,
    ) -> None:
        self.fleet = fleet
        self._heard: deque[Observation] = deque([Ticked()])
        self._clients = Clients(control)
        self._dumps = Dumps(emit, self._clients.answer)
        self._pulse = Pulse(notifier, emit)
        selector = selectors.DefaultSelector()
        channels = Channels(selector)
        watched = Watched(
            children=children, selector=selector, outlook=outlook, outlets=outlets, emit=emit
        )
        paper = StatePaper(runtime_dir, where, outlook.board, notifier=notifier, emit=emit)
        self._telling = Telling(children=children, channels=channels, paper=paper)
        self._ears = Ears(
            selector=selector, heard=self._heard, signals=signals, clients=self._clients, outlets=outlets,
            outlook=outlook, children=children, channels=channels, watched=watched,
            configuration=configuration, dumps=self._dumps, emit=emit,
        )  # fmt: skip
        self._hands = Hands(
            heard=self._heard, ears=self._ears, telling=self._telling, clients=self._clients, outlets=outlets,
            outlook=outlook, children=children, channels=channels, watched=watched,
            configuration=configuration, dumps=self._dumps, notifier=notifier, emit=emit,
        )  # fmt: skip

    def run(self) -> int:
        """Supervise until the fleet has ended; give the exit code."""
        while (code := self._hands.code) is None:
            now = clock.mono()
            self._ears.observe(self.fleet, now)
            while self._heard and self._hands.code is None:
                self.fleet, actions = step(self.fleet, self._heard.popleft(), clock.mono())
                for action in actions:
                    self._hands.carry_out(action, self.fleet)
            self._telling.publish(self.fleet, clock.mono())
            self._pulse.turned(self.fleet, now)
            self._clients.reply()
            if self._hands.code is None:
                self._wait()
        return code

    def _wait(self) -> None:
        until = min(
            next_deadline(self.fleet), self._ears.look_at, self._telling.due, self._dumps.due
        )
        while self._ears.hear(self.fleet, until):
            """Nothing but output came."""
