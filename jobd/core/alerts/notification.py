"""What people are told: one notification per transition, the same words over every sink and every retry.

Made where a rule's state moves, kept in Redis (or in a file of the runtime directory, of what one host
says for itself) until each sink has it, and told apart by `id` alone.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from jobd.core.config_alerts import Severity

Status = Literal["firing", "resolved", "repeated", "test"]


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a rule looks at. `of`: a queue, a schedule as "queue/name", a host, or "" for the whole;
    `value` is in the unit of the rule's kind, `shown` the same in words."""

    of: str
    value: float
    shown: str


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One message. `id` is the same over all retries; `host` is set where one host speaks for itself.

    `summary` is one line for people, `hint` one sentence on what to do. `at_ms` is when it came about,
    ms since 1970.
    """

    id: str
    rule: str
    kind: str
    severity: Severity
    status: Status
    at_ms: int
    summary: str
    hint: str
    instances: list[Instance]
    host: str | None = None
    namespace: str
