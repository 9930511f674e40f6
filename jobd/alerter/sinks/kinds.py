"""Which kinds of sinks there are, and what makes their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from jobd.alerter.sinks import pagerduty, slack, webhook
from jobd.alerter.sinks.post import Post
from jobd.core.alerts.notification import Notification
from jobd.core.config_alerts import SinkConfig

Make = Callable[[SinkConfig, Notification, float], list[Post]]

KINDS: Mapping[str, Make] = {
    "webhook": webhook.posts,
    "slack": slack.posts,
    "pagerduty": pagerduty.posts,
}


def posts(sink: SinkConfig, note: Notification, now: float) -> list[Post]:
    """Make the requests that tell a sink of a notification, in a try at `now` (seconds since 1970).

    All go to one address, one after another. Raises ValueError for a secret that cannot be used.
    """
    return KINDS[sink.kind](sink, note, now)
