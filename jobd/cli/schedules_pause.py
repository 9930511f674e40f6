"""`jobd schedules pause`."""

from __future__ import annotations

from jobd.cli.schedules import make

command = make(
    "pause",
    "Fire a schedule no more, until it is resumed. What would have fired is not made up for.",
    lambda store, name: store.pause(name),
)
