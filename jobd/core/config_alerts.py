"""What jobd.toml says of alerts: rules, who is told, and the sign of life. Spans are seconds."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["warning", "critical"]


class RuleConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One [[alerts.rules]]. `above` and `clear_below` are in the unit of its kind.

    Without a `queue` a rule of a kind that has one looks at each queue by itself. `sinks` names who is
    told; None: all. `repeat`: told again so often while it fires, 0 for never. What a kind has a default
    for is filled in when the file is read.
    """

    name: str
    kind: str
    queue: str | None = None
    task: str | None = None
    above: float | None = None
    clear_below: float | None = None
    for_: float = msgspec.field(default=0.0, name="for")
    window: float | None = None
    min_runs: int | None = None
    repeat: float = 4 * 3600.0
    severity: Severity = "warning"
    sinks: list[str] | None = None


class SinkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One [[alerts.sinks]]. `secret` is a webhook's signing secret, or PagerDuty's routing key."""

    name: str
    kind: Literal["webhook", "slack", "pagerduty"]
    url: str
    secret: str | None = None
    allow_private: bool = False
    timeout: float = 10.0


class HeartbeatConfig(msgspec.Struct, frozen=True, kw_only=True):
    """[alerts.heartbeat]: an address that hears from this host while all is well, so that silence tells."""

    url: str
    every: float = 60.0
    allow_private: bool = False


class AlertsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All of [alerts]. Rules are looked at `every` so many seconds, by one host of all."""

    every: float = 2.0
    rules: list[RuleConfig] = []
    sinks: list[SinkConfig] = []
    heartbeat: HeartbeatConfig | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is anything to do. Sinks alone wait for what rules that are gone have to tell."""
        return bool(self.rules or self.sinks or self.heartbeat is not None)
