"""`python -m support.senders URL RECEIVER SECRET [pause]`: one host's sender on the Redis at URL.

Prints its events as JSON lines, and ends when its standard input does. Used by tests of several hosts.
"""

from __future__ import annotations

import json
import sys

import msgspec

from jobd.alerter.deliver import Deliverer
from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.connection import connect
from jobd.core.alerts.sending import pause_before
from jobd.core.config_alerts import SinkConfig
from jobd.core.events import Event


def emit(event: Event) -> None:
    print(json.dumps({"event": event.event} | msgspec.structs.asdict(event)), flush=True)


def quick(*args: object, **facts: object) -> float | None:
    """The rule of the pauses, a hundred times as fast."""
    pause = pause_before(*args, **facts)  # type: ignore[arg-type]
    return None if pause is None else pause / 100


def main(url: str, to: str, secret: str, speed: str, lease: str) -> None:
    sink = SinkConfig(
        name="ops", kind="webhook", url=to, secret=secret, allow_private=True, timeout=10
    )
    outbox = RedisOutbox(connect(url), "t", lease=float(lease))
    rule = pause_before if speed == "real" else quick
    every = 1.0 if speed == "real" else 0.02
    deliverer = Deliverer([sink], [outbox], emit=emit, pause=rule, look_every=every)
    deliverer.start()
    print(json.dumps({"event": "started"}), flush=True)
    sys.stdin.read()
    deliverer.stop()
    deliverer.check()


if __name__ == "__main__":
    main(*sys.argv[1:])
