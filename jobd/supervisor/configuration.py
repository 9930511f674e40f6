"""What a loop needs of the configuration's files. Built by jobd.wiring.supervisor."""

from __future__ import annotations

from typing import Protocol

from jobd.supervisor.fleet import Helper, Plan


class Configuration(Protocol):
    """The files of the configuration: the one in force, and that of a reload."""

    def argv(self, helper: Helper) -> list[str]:
        """Give a helper's command line, `{fd}` standing for its channel."""

    def keep(self, helper: Helper) -> list[int]:
        """List the descriptors a helper is to inherit, beside its channel."""

    def offer(self, sockets: list[int]) -> None:
        """Take over the sockets that a reload's reader has opened; they serve when it is adopted.

        Those offered before, and not adopted, are closed.
        """

    def plan(self, attempt: int) -> Plan:
        """Read what the reader of a reload has laid down. Raises ConfigError, OSError."""

    def adopt(self) -> None:
        """Put that in force."""
