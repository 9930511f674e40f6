"""Every kind of rule that a daemon's life can make true, in one: what was made true is told, and no more."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.daemons import Daemon, eventually
from support.hooks import receiver

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.core.alerts.kinds import KINDS
from jobd.core.config import QueueConfig
from jobd.core.config_alerts import AlertsConfig, RuleConfig, SinkConfig

pytestmark = [pytest.mark.process, pytest.mark.chaos]

APP = """
import os, time
from jobd import Jobd
app = Jobd()

@app.queue("crash").task()
def crash() -> None:
    os._exit(3)

@app.queue("fail").task()
def fail() -> None:
    raise ValueError("no")

@app.queue("slow").task()
def slow() -> None:
    time.sleep(600)

@app.queue("nobody").task()
def nobody() -> None: ...

@app.queue("fine").task()
def fine() -> None: ...
"""
ABOVE = {
    "backlog": 20.0, "latency": 4.0, "stalled": 4.0, "stuck": 2.0, "memory": 1e6, "redis_memory": 1e5,
    "crash_loop": 1.0, "schedule_missed": 2.0, "host_lost": 8.0,
}  # fmt: skip
# What this world makes true, and of what.
TRUE = {
    "backlog": {"nobody"}, "latency": {"nobody"}, "stalled": {"nobody"}, "no_workers": {"nobody"},
    "stuck": {"slow"}, "failure_rate": {"fail"}, "crash_loop": {"crash"}, "redis_memory": {""},
    "schedule_missed": {"nobody/never"}, "host_lost": {"gone"},
}  # fmt: skip


def rules() -> list[RuleConfig]:
    return [
        RuleConfig(
            name=word, kind=word, above=ABOVE.get(word, kind.above), window=kind.window,
            min_runs=kind.min_runs, repeat=0.0, for_=4.0 if word == "no_workers" else 0.0,
        )
        for word, kind in KINDS.items()
    ]  # fmt: skip


def test_what_is_made_true_is_told_and_nothing_else(tmp_path: Path, redis_url: str) -> None:
    """A daemon with crashing, failing, slow and unserved queues, and another that vanishes."""
    client, app = connect(redis_url), Jobd(redis_url)
    queues = {name: QueueConfig() for name in ("crash", "fail", "slow", "fine")}
    queues["nobody"] = QueueConfig(processes=0)
    client.zadd("jobd:{nobody}:schedules", {"never": 1_000_000_000_000})
    with receiver() as hook:
        config = AlertsConfig(
            every=0.5, rules=rules(),
            sinks=[SinkConfig(name="hook", kind="webhook", url=hook.url, allow_private=True)],
        )  # fmt: skip
        other = tmp_path / "other"
        other.mkdir()
        daemons = [Daemon(tmp_path, redis_url, APP, queues=queues, alerts=config)]
        daemons.append(
            Daemon(other, redis_url, APP, queues={"fine": QueueConfig()}, served=["fine"])
        )
        try:
            eventually("both hosts are known", lambda: client.hlen("jobd:hosts") == 2, within=60)
            for name in queues:
                if name != "nobody":
                    leases = f"jobd:{{{name}}}:leases"
                    eventually(
                        f"{name} is served", lambda leases=leases: client.zcard(leases), within=60
                    )  # type: ignore[misc]
            for name, count in {"crash": 1, "fail": 12, "slow": 1, "nobody": 21, "fine": 3}.items():
                app.queue(name).add_many([(name, {})] * count)
            known = {key.decode() for key in client.hkeys("jobd:hosts")}
            daemons[1].signal(signal.SIGKILL)
            daemons[1].wait()

            def told() -> dict[str, set[str]]:
                found: dict[str, set[str]] = {}
                for note in hook.notes():
                    if note["status"] == "firing":
                        names = {each["of"] for each in note["instances"]}
                        found.setdefault(note["rule"], set()).update(names)
                if found.get("host_lost", set()) <= known and len(found.get("host_lost", ())) == 1:
                    found["host_lost"] = {"gone"}
                # Every worker is larger than a megabyte, and every one that died is dead in a queue.
                assert found.pop("memory", set()) <= set(queues)
                assert found.pop("dead", set()) <= {"fail", "crash"}
                return found

            try:
                eventually("all is told", lambda: told() == TRUE, within=60)
            except AssertionError as late:
                raise AssertionError(f"{late}: {told()}\n{daemons[0].text()[-6000:]}") from None
        finally:
            for daemon in daemons:
                daemon.end()
            client.close()
