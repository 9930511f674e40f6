"""Webhooks after the Standard Webhooks specification: three headers, and JSON whose names are stable.

    {"type": "jobd.alert.firing",              or .resolved, .repeated, .test
     "timestamp": "2026-11-29T17:00:00.000Z",  when it came about
     "data": {"id", "rule", "kind", "severity", "status", "summary", "hint",
              "instances": [{"of", "value", "shown"}], "host": null, "namespace"}}

Invariant: id and body are the same at each try and from each host; time and signature are those of the
try, since receivers refuse old ones. Fields may be added; none is renamed or removed.
"""

from __future__ import annotations

from jobd.alerter.sinks.post import Post, iso, json_post
from jobd.core.alerts.notification import Notification
from jobd.core.alerts.signing import signatures
from jobd.core.config_alerts import SinkConfig


def posts(sink: SinkConfig, note: Notification, now: float) -> list[Post]:
    """Make the request of a try at `now`, seconds since 1970. Without a secret it is not signed."""
    document = {
        "type": f"jobd.alert.{note.status}",
        "timestamp": iso(note.at_ms),
        "data": {
            "id": note.id,
            "rule": note.rule,
            "kind": note.kind,
            "severity": note.severity,
            "status": note.status,
            "summary": note.summary,
            "hint": note.hint,
            "instances": [
                {"of": each.of, "value": each.value, "shown": each.shown} for each in note.instances
            ],
            "host": note.host,
            "namespace": note.namespace,
        },
    }
    at = int(now)
    plain = json_post(sink.url, document, ("webhook-id", note.id), ("webhook-timestamp", f"{at}"))
    if not sink.secret:
        return [plain]
    signature = signatures(sink.secret, id_=note.id, at=at, body=plain.body)
    signed = (*plain.headers, ("webhook-signature", signature))
    return [Post(url=plain.url, headers=signed, body=plain.body)]
