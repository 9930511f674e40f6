"""What the supervisor hears: whatever comes over a descriptor, or is due to be looked at, as observations.

Invariant: nothing is decided here, and nothing waits for a peer: channels never block, and signals only
enqueue. Called by jobd.supervisor.loop.
"""

from __future__ import annotations

import selectors
import signal
from collections import deque

from jobd.core.errors import ConfigError
from jobd.core.events import LookFailed, SignalIgnored
from jobd.seams import clock
from jobd.seams.host import Signals, is_out_of_handles
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.supervisor import messages
from jobd.supervisor.channels import Channels
from jobd.supervisor.children import Children
from jobd.supervisor.clients import Clients
from jobd.supervisor.configuration import Configuration
from jobd.supervisor.dumps import Dumps
from jobd.supervisor.fleet import Fleet, Role, Stop
from jobd.supervisor.orders import (
    HelperExited,
    Loaded,
    Observation,
    PlanRead,
    PlanRefused,
    Ticked,
)
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.signalled import meaning
from jobd.supervisor.watched import Watched

# Whom the kernel hands over alive, it does not tell of.
_STRAYS_EVERY = 1.0


class Ears:
    """Waits on `selector`; what it hears goes into `heard`. Each call is told the fleet as it is by then."""

    def __init__(
        self,
        *,
        selector: selectors.BaseSelector,
        heard: deque[Observation],
        signals: Signals,
        clients: Clients,
        outlets: Outlets,
        outlook: Outlook,
        children: Children,
        channels: Channels,
        watched: Watched,
        configuration: Configuration,
        dumps: Dumps,
        emit: Log,
    ) -> None:
        selector.register(signals.fileno(), selectors.EVENT_READ, None)
        selector.register(clients.fileno(), selectors.EVENT_READ, ("control", ""))
        selector.register(outlets.fileno(), selectors.EVENT_READ, ("output", ""))
        self.look_at = 0.0
        """When the pages are to be looked at next."""
        self._selector = selector
        self._heard = heard
        self._signals = signals
        self._clients = clients
        self._outlets = outlets
        self._outlook = outlook
        self._children = children
        self._channels = channels
        self._watched = watched
        self._configuration = configuration
        self._dumps = dumps
        self._emit = emit
        self._blind = False  # the last look failed for want of a file handle
        self._strays = True
        self._strays_at = 0.0

    def hear_of_strays(self) -> None:
        """Look for processes that have nobody, before the next second is over."""
        self._strays = True

    def observe(self, fleet: Fleet, now: float) -> None:
        """Look at what is due, and at what an end has left; at least a tick is heard."""
        if now >= self.look_at:
            self.look_at = now + fleet.policy.look_every
            self._look(fleet, now)
            self._outlets.pause()
        self._heard += self._dumps.collect(now)
        if self._strays or now >= self._strays_at:
            self._strays = False
            self._strays_at = now + _STRAYS_EVERY
            self._children.end_strays()
        if not self._heard:
            self._heard.append(Ticked())

    def hear(self, fleet: Fleet, until: float) -> bool:
        """Wait for what comes, until then; say whether nothing but output came: there is nothing to decide."""
        now = clock.mono()
        came = self._selector.select(max(0.0, until - now))
        only_output = bool(came) and now < until
        ended = []
        for key, mask in came:
            only_output = only_output and key.data == ("output", "")
            match key.data:
                case None:
                    self._take_signals()
                case ("control", _):
                    self._heard += self._clients.hear()
                case ("output", _):
                    self._outlets.hear(lambda name: self._watched.run_of(name, fleet))
                case ("channel", str(name)):
                    self._talk(name, mask, fleet)
                case ("helper", str(name)):
                    self._helper_ended(name, fleet)
                case (_, str(incarnation)):
                    ended.append(incarnation)
        if ended:
            self._workers_ended(ended, fleet)
        return only_output

    def _look(self, fleet: Fleet, now: float) -> None:
        try:
            self._heard += self._watched.watch_the_rest(fleet)
            self._heard.append(self._outlook.look(fleet, now))
            self._blind = False
        except OSError as refused:
            if not is_out_of_handles(refused):
                raise
            if not self._blind:
                self._blind = True
                self._emit(LookFailed(why=str(refused)))

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGCHLD:
                self._strays = True
                continue
            if number == signal.SIGUSR1:
                self._dumps.own()
            seen = meaning(number)
            if seen is not None:
                self._heard.append(seen)
            else:
                name = signal.Signals(number).name
                self._emit(SignalIgnored(signal=name, why="it means nothing to a daemon"))

    def _talk(self, name: str, mask: int, fleet: Fleet) -> None:
        child = self._children.helpers.get(name)
        if child is None or child.channel is None:
            return
        channel = child.channel
        if mask & selectors.EVENT_WRITE:
            channel.flush()
        if mask & selectors.EVENT_READ:
            self._hear_helper(name, channel, fleet)
        self._channels.heard(name, child)

    def _hear_helper(self, name: str, channel: Lines, fleet: Fleet) -> None:
        helper = fleet.helpers.get(name)
        for message in channel.receive():
            for seen in messages.read(name, message):
                reader = helper is not None and helper.role is Role.READER
                self._heard.append(
                    self._plan(channel, seen, fleet)
                    if reader and isinstance(seen, Loaded)
                    else seen
                )

    def _plan(self, channel: Lines, seen: Loaded, fleet: Fleet) -> Observation:
        self._configuration.offer([*channel.fds])
        channel.fds.clear()
        try:
            return PlanRead(self._configuration.plan(fleet.reload.attempt), seen.note)
        except (ConfigError, OSError) as refused:
            return PlanRefused(str(refused))

    def _helper_ended(self, name: str, fleet: Fleet) -> None:
        table = self._children.helpers
        how = self._children.ended(table, name)
        if how is None:
            return
        child = table[name]
        if child.channel is not None:
            # What it said last, such as why its app does not load, counts before its end.
            self._hear_helper(name, child.channel, fleet)
        self._channels.close(child)
        self._children.drop(table, name)
        self._strays = True
        self._heard.append(HelperExited(name, how))

    def _workers_ended(self, incarnations: list[str], fleet: Fleet) -> None:
        ends = self._watched.collect(incarnations)
        self._strays = True
        # What the others have done by now is known when these ends are judged. On the way out it is of no
        # use: nobody takes their place. And a look at all for each of many ends is quadratic.
        if fleet.stop is Stop.NO:
            self._look(fleet, clock.mono())
        self._heard += [self._watched.last_words(name, how, fleet) for name, how in ends]
