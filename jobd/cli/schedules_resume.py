"""`jobd schedules resume`."""

from __future__ import annotations

from jobd.cli.schedules import make

command = make(
    "resume",
    "Fire a paused schedule again, from its next slot on.",
    lambda store, name: store.resume(name),
)
