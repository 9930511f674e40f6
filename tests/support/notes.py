"""Notifications for tests."""

from __future__ import annotations

from typing import Any

from jobd.core.alerts.notification import Instance, Notification
from jobd.core.ids import uuid7

AT = 1_800_000_000_000


def a_note(n: int = 0, **changes: Any) -> Notification:
    """The n-th notification; its id follows from n."""
    fields: dict[str, Any] = {
        "id": uuid7(AT + n, n), "rule": "email backlog", "kind": "backlog", "severity": "warning",
        "status": "firing", "at_ms": AT + n, "summary": "email: 1200 jobs wait; allowed are 1000",
        "hint": "start more workers", "namespace": "t",
        "instances": [Instance(of="email", value=1200.0, shown="1200 jobs")],
    }  # fmt: skip
    return Notification(**(fields | changes))
