"""What the supervisor tells: each helper how the fleet is, and who looks into state.json. Called by the loop.

Invariant: what is told is a level, never an edge: the whole of it, on every change and every second.
"""

from __future__ import annotations

from jobd.supervisor import publish
from jobd.supervisor.channels import Channels
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet
from jobd.supervisor.paper import StatePaper

# The keeper hears the whole list at least this often; by it services know that we turn.
_PUBLISH_EVERY = 1.0


class Telling:
    """What was told to whom."""

    def __init__(self, *, children: Children, channels: Channels, paper: StatePaper) -> None:
        self._children = children
        self._channels = channels
        self._paper = paper
        self._told: dict[str, dict[str, object]] = {}
        self.due = 0.0
        """When all are to be told again."""

    def begin_anew(self, helper: str) -> None:
        """Know that a helper has just begun: it was told nothing."""
        self._told.pop(helper, None)

    def publish(self, fleet: Fleet, now: float) -> None:
        """Tell those for whom there is something new, or all where it is time."""
        is_time = now >= self.due
        if is_time:
            self.due = now + _PUBLISH_EVERY
        for name, helper in fleet.helpers.items():
            message = publish.message_for(helper.role, fleet)
            child = self._children.helpers.get(name)
            if message is None or child is None or child.channel is None:
                continue
            # One message at a time: the next, newer one goes when this one has left.
            if (is_time or message != self._told.get(name)) and not child.channel.pending():
                self._channels.say(name, child, message)
                self._told[name] = message
        self._paper.write(fleet)
