"""What is still to be told, and the boxes it stands in until it is: Redis for all hosts, a file for one.

Invariant: of one sink and rule, only the oldest is taken; the next one after that was told or given up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from jobd.core.alerts.notification import Notification

MOST = 1000
"""So many notifications a box holds. Beyond these the oldest are dropped, and counted."""

KEPT = 48 * 3600.0
"""Nothing stands in a box for longer, in seconds. Senders give up after a day: what is still there after two is
for sinks that nobody has any more. It is dropped, and counted."""

LONGEST_TIMEOUT = 60.0
"""A receiver is waited for no longer than this, in seconds, whatever its `timeout`."""

LEASE = 90.0
"""What was taken is not taken again for so long, in seconds: longer than one try may last."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One notification for one sink, taken to be tried. `tries` counts this one; `waited` is how long
    it has stood in the box, in seconds. `notification` is None where what stands there cannot be read.
    """

    id: str
    sink: str
    tries: int
    waited: float
    notification: Notification | None


class Outbox(Protocol):
    """A box. Each call may raise BrokerError: then nothing has changed, or it is due again later."""

    def add(self, notification: Notification, sinks: Sequence[str]) -> int:
        """Have it told to these sinks; give how many deliveries of the oldest were dropped for it."""
        ...

    def take(self, sinks: Sequence[str], limit: int = 1) -> list[Delivery]:
        """Take what is due for these sinks. Nobody else gets it for LEASE seconds."""
        ...

    def done(self, delivery: Delivery) -> None:
        """It was told."""
        ...

    def again(self, delivery: Delivery, delay: float) -> None:
        """It is due again in `delay` seconds."""
        ...

    def give_up(self, delivery: Delivery) -> None:
        """It is not tried any more."""
        ...

    def dropped(self) -> int:
        """Give how many deliveries were ever dropped: there were too many, or nobody has the sink."""
        ...
