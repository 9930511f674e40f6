"""Alerter processes of their own, without a daemon: to be killed, and started with another configuration."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from jobd.core.config import Config, DaemonConfig, LogConfig, RedisConfig
from jobd.core.config_alerts import AlertsConfig, RuleConfig, SinkConfig
from support.hooks import Receiver


class Alerter:
    """One alerter, with a supervisor that says nothing. Its rules are "QUEUE backlog", of `queues`."""

    def __init__(
        self,
        top: Path,
        url: str,
        hook: Receiver,
        *,
        queues: Sequence[str] = ("a", "b"),
        sink: str = "hook",
    ) -> None:
        top.mkdir(exist_ok=True)
        sinks = [SinkConfig(name=sink, kind="webhook", url=hook.url, allow_private=True)]
        rules = [
            RuleConfig(name=f"{queue} backlog", kind="backlog", queue=queue, above=0.0, repeat=0.0)
            for queue in queues
        ]
        config = Config(
            redis=RedisConfig(url=url),
            daemon=DaemonConfig(log=LogConfig(format="json")),
            alerts=AlertsConfig(every=0.1, rules=rules, sinks=sinks),
        )
        self.effective = top / "effective.json"
        self.effective.write_bytes(msgspec.json.encode(config))
        self.log = top / "log"
        self.start()

    def start(self) -> None:
        self.ours, theirs = socket.socketpair()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jobd.wiring.alerter", str(self.effective), str(theirs.fileno()), "-"],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ,
            )  # fmt: skip
        theirs.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.ours.close()
