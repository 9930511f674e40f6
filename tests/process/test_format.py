"""A daemon whose store a newer jobd takes over: it says so, claims nothing more, and loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.daemons import Daemon, eventually

from jobd.broker.connection import connect
from jobd.broker.store import Store
from jobd.client.app import Jobd
from jobd.core.config import QueueConfig

pytestmark = pytest.mark.process

APP = """
import os, time
from jobd import Jobd

app = Jobd()

@app.queue("q").task("hold")
def hold(until: str) -> None:
    with open(until + ".begun", "a") as file:
        file.write("x")
    while not os.path.exists(until):
        time.sleep(0.01)

@app.queue("r").task("quick")
def quick() -> None:
    pass
"""


@pytest.mark.parametrize("text", ["999", "abc"])
def test_a_daemon_in_a_store_of_another_format(redis_url: str, tmp_path: Path, text: str) -> None:
    """Keeper and workers name it and live on; the running job keeps its lease and runs once; what is
    waiting waits until the format is ours again."""
    client = connect(redis_url)
    app = Jobd(redis_url)
    gate = tmp_path / "gate"
    daemon = Daemon(
        tmp_path, redis_url, APP, lease=2.0,
        queues={"q": QueueConfig(processes=1), "r": QueueConfig(processes=1)},
    )  # fmt: skip
    try:
        daemon.running(2)
        held = app.queue("q").add("hold", {"until": str(gate)})
        eventually("it runs", lambda: held.state() == "active")
        store = Store(client, "jobd", "q")
        [lease] = eventually("a lease", lambda: list(store.open_leases().items()))
        app.queue("r").add("quick", {})
        eventually("it has run", lambda: app.producer.views().counts("r")["completed"] == 1)
        client.set("jobd:format", text)
        eventually(
            "keeper and worker have said so", lambda: _who_said(daemon) >= {"keeper", "worker"}
        )
        late = app.queue("r").add("quick", {})  # by a producer that asked a moment ago
        since = int(client.time()[0]) * 1000

        def renewed() -> bool:
            return int(float(store.open_leases()[lease[0]])) > since + 3 * 2000

        eventually("its lease is renewed for three leases", renewed)
        assert (held.state(), late.state()) == ("active", "waiting")
        client.set("jobd:format", "1")
        eventually("what waited has run", lambda: late.state() == "completed")
        gate.touch()
        eventually("what ran is settled", lambda: held.state() == "completed")
    finally:
        daemon.end()
    assert Path(f"{gate}.begun").read_text() == "x"
    assert daemon.said("process.hung") == []
    assert daemon.said("broker.back")
    client.close()
    app.producer.client.close()


def _who_said(daemon: Daemon) -> set[str]:
    lost = [each for each in daemon.said("broker.lost") if "jobd:format" in each["why"]]
    return {each["role"].partition(" ")[0] for each in lost}
