"""An incoming webhook of Slack: a line for the notification, and blocks for who opens the channel.

Invariant: nothing from a rule's or a queue's name is taken for markup, a link or a mention. The address
itself is the secret.
"""

from __future__ import annotations

from jobd.alerter.sinks.post import Post, cut, iso, json_post
from jobd.core.alerts.notification import Notification
from jobd.core.config_alerts import SinkConfig

# Slack takes 3,000 characters of a section; escaping makes up to five of one.
_MOST_SECTION = 2900
_MOST_RULE, _MOST_SUMMARY, _MOST_HINT, _MOST_NAME = 100, 250, 180, 60
_MOST_INSTANCES = 10
_SIGNS = {"firing": ":rotating_light:", "repeated": ":rotating_light:", "resolved": ":white_check_mark:", "test": ":bell:"}  # fmt: skip
_WORDS = {"firing": "Firing", "repeated": "Still firing", "resolved": "Resolved", "test": "Test"}


def escaped(text: str) -> str:
    """Write a text so that Slack shows it as it is."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def posts(sink: SinkConfig, note: Notification, now: float) -> list[Post]:
    """Make the request."""
    del now
    head = f"{_WORDS[note.status]}: {_safe(note.rule, _MOST_RULE)}"
    summary = _safe(note.summary, _MOST_SUMMARY)
    body = [f"{_SIGNS[note.status]} *{head}*", summary]
    tail = []
    if note.status != "resolved" and note.hint:
        tail.append(f"_{_safe(note.hint, _MOST_HINT)}_")
    room = _MOST_SECTION - len("\n".join(body + tail))
    text = "\n".join([*body, *_instances(note, room), *tail])
    document = {
        "text": f"{head}: {summary}",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": _context(note)}]},
        ],
    }
    return [json_post(sink.url, document)]


def _context(note: Notification) -> str:
    where = [
        f"namespace {_safe(note.namespace, _MOST_NAME)}",
        note.severity,
        _safe(note.kind, _MOST_NAME),
    ]
    if note.host:
        where.append(f"host {_safe(note.host, _MOST_NAME)}")
    shown = "{date_short_pretty} {time_secs}"
    return " · ".join([*where, f"<!date^{note.at_ms // 1000}^{shown}|{iso(note.at_ms)}>"])


def _instances(note: Notification, room: int) -> list[str]:
    """One line for each thing the rule looks at, where there are several; as many as there is room for."""
    lines: list[str] = []
    if len(note.instances) < 2:
        return lines
    for at, each in enumerate(note.instances):
        line = f"• {_safe(each.of or 'all', _MOST_NAME)}: {_safe(each.shown, _MOST_NAME)}"
        room -= len(line) + 1
        if at == _MOST_INSTANCES or room < len("• and 1000000 more"):
            return [*lines, f"• and {len(note.instances) - at} more"]
        lines.append(line)
    return lines


def _safe(text: str, most: int) -> str:
    return escaped(cut(" ".join(text.split()), most))
