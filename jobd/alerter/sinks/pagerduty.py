"""PagerDuty's Events API, version 2: an incident for each thing that a rule looks at.

Invariant: what opened an incident closes it. Its key follows from namespace, rule, host and the one
thing looked at, never from which others fired along with it: those may resolve apart. Sending an
event again changes nothing there, so several events of one notification are simply all sent again.
"""

from __future__ import annotations

import hashlib

from jobd.alerter.sinks.post import Post, cut, iso, json_post
from jobd.core.alerts.notification import Instance, Notification
from jobd.core.config_alerts import SinkConfig

URL = "https://events.pagerduty.com/v2/enqueue"
"""Where events go if the sink names no other (that of the EU, or of a proxy)."""

_MOST_KEY = 255
_MOST_SUMMARY = 1024


def posts(sink: SinkConfig, note: Notification, now: float) -> list[Post]:
    """Make the requests, one for each instance."""
    del now
    instances = note.instances or [Instance(of="", value=0.0, shown="")]
    return [json_post(sink.url or URL, _event(sink, note, each)) for each in instances]


def dedup_key(note: Notification, instance: Instance) -> str:
    """Name the incident. A test has its own, so that it touches no other."""
    parts = ["jobd", note.namespace, note.rule, note.host or "", instance.of]
    if note.status == "test":
        parts.append(note.id)
    key = "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)
    if len(key.encode()) <= _MOST_KEY:
        return key
    return f"jobd/{hashlib.sha256(key.encode()).hexdigest()}"


def _event(sink: SinkConfig, note: Notification, instance: Instance) -> dict[str, object]:
    head: dict[str, object] = {
        "routing_key": sink.secret or "",
        "event_action": "resolve" if note.status == "resolved" else "trigger",
        "dedup_key": dedup_key(note, instance),
    }
    if note.status == "resolved":
        return head
    of = f"{instance.of}: " if len(note.instances) > 1 and instance.of else ""
    return head | {
        "client": "jobd",
        "payload": {
            "summary": cut(f"{note.rule}: {of}{note.summary}", _MOST_SUMMARY),
            "source": note.host or f"jobd {note.namespace}",
            "severity": "info" if note.status == "test" else note.severity,
            "timestamp": iso(note.at_ms),
            "component": instance.of or note.namespace,
            "group": note.namespace,
            "class": note.kind,
            "custom_details": {"hint": note.hint, "value": instance.value, "shown": instance.shown, "id": note.id},
        },
    }  # fmt: skip
