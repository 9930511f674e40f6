"""`jobd schedules remove`."""

from __future__ import annotations

from jobd.cli.schedules import make

command = make(
    "remove",
    "Take a schedule away; its jobs stay. One that code or jobd.toml declares comes back within a "
    "minute: pause it, or take it out there.",
    lambda store, name: store.remove(name),
)
