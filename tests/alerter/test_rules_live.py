"""Rules in real daemons: one notification per transition, whoever dies in between; and each host for itself
when Redis is gone. Receivers are real servers, and count."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from conftest import DEFAULT, PROGRAMS
from support.daemons import Daemon, eventually
from support.hooks import Receiver, receiver
from support.links import BadLink, Weather
from support.servers import running

from jobd import Jobd
from jobd.broker import alerts
from jobd.broker.alert_loads import LoadStore
from jobd.broker.connection import Client, connect
from jobd.broker.keys import SharedKeys
from jobd.core.alerts.loads import Load, newest
from jobd.core.config import QueueConfig
from jobd.core.config_alerts import AlertsConfig, RuleConfig, SinkConfig
from jobd.seams import alertfile

pytestmark = pytest.mark.process

APP = """
from jobd import Jobd
app = Jobd()

@app.queue("email").task()
def send() -> None: ...

@app.queue("fence").task()
def pass_by() -> None: ...
"""
NOBODY = QueueConfig(processes=0)
EVERY = 0.2


def rules_for(hook: Receiver, *rules: RuleConfig) -> AlertsConfig:
    sink = SinkConfig(name="hook", kind="webhook", url=hook.url, allow_private=True)
    return AlertsConfig(every=EVERY, rules=list(rules), sinks=[sink])


def backlog(queue: str, above: float, for_: float = 0.0) -> RuleConfig:
    return RuleConfig(
        name=f"{queue} backlog", kind="backlog", queue=queue, above=above, for_=for_, repeat=0.0
    )


class Fleet:
    """Several daemons on one Redis; they serve two queues and run nothing of them."""

    def __init__(self, top: Path, url: str, config: AlertsConfig, count: int) -> None:
        self.daemons = []
        for number in range(count):
            place = top / f"host{number}"
            place.mkdir()
            queues = {"email": NOBODY, "fence": NOBODY}
            self.daemons.append(Daemon(place, url, APP, queues=queues, alerts=config))

    def alerters(self) -> list[str]:
        return [(d.state() and d.state().helpers.get("alerter")) for d in self.daemons]  # type: ignore[union-attr,misc]

    def eventually(self, what: str, look: Callable[[], object], within: float = 30.0) -> None:
        try:
            eventually(what, look, within=within)
        except AssertionError as late:
            raise AssertionError(
                f"{late}\n" + "\n".join(d.text()[-4000:] for d in self.daemons)
            ) from None

    def end(self) -> None:
        for daemon in self.daemons:
            daemon.end()


@pytest.fixture
def fleet_of(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    with ExitStack() as stack:

        def make(url: str, config: AlertsConfig, count: int) -> Fleet:
            fleet = Fleet(tmp_path, url, config, count)
            stack.callback(fleet.end)
            return fleet

        yield make


def enqueue(url: str, queue: str, count: int) -> None:
    Jobd(url).queue(queue).add_many([("x", {})] * count)


def test_three_daemons_tell_a_backlog_once_and_its_end_once(
    redis_url: str, fleet_of: Callable[..., Fleet]
) -> None:
    """Also when one of them is killed while the rule is pending; the state in Redis is what counts."""
    client = connect(redis_url)
    with receiver() as hook:
        config = rules_for(hook, backlog("email", 3, for_=1.0), backlog("fence", 0))
        fleet = fleet_of(redis_url, config, 3)
        fleet.eventually("rules are looked at", lambda: len(alerts.states(client, "jobd")) == 2)
        enqueue(redis_url, "email", 5)
        fleet.eventually(
            "pending", lambda: alerts.states(client, "jobd")["email backlog"].instances
        )
        fleet.daemons[0].signal(signal.SIGKILL)
        fleet.eventually("it fires", lambda: hook.told("email backlog"))
        fleet.daemons[0].wait()
        fleet.daemons[0].start()
        fleet.eventually("it is there again", lambda: fleet.alerters() == ["running"] * 3)
        assert alerts.firing(client, "jobd") == {"email backlog": 1, "fence backlog": 0}

        client.delete("jobd:{email}:waiting")
        fleet.eventually("it is over", lambda: len(hook.told("email backlog")) > 1)
        # What would come doubled would come before what is made after it.
        enqueue(redis_url, "fence", 1)
        fleet.eventually("the next thing", lambda: hook.told("fence backlog"))

        assert hook.told("email backlog") == ["firing", "resolved"]
        assert hook.told("fence backlog") == ["firing"]
        assert len(set(hook.ids)) == 3
        [first, *_] = hook.notes()
        assert first["summary"] == "email backlog: email: 5 jobs due (threshold 3)"
        assert first["instances"] == [{"of": "email", "value": 5.0, "shown": "5 jobs due"}]
    client.close()


def test_two_daemons_that_differ_judge_by_what_was_loaded_last(
    tmp_path: Path, redis_url: str
) -> None:
    """Whoever looks, until that host is gone; and each says it once in its log."""
    client = connect(redis_url)
    with receiver() as hook, ExitStack() as stack:
        daemons: list[Daemon] = []
        for above in (50, 3):
            place = tmp_path / f"above{above}"
            place.mkdir()
            config = rules_for(hook, backlog("email", above))
            queues = {"email": NOBODY, "fence": NOBODY}
            daemons.append(Daemon(place, redis_url, APP, queues=queues, alerts=config))
            stack.callback(daemons[-1].end)
            eventually("its word", lambda: len(loads(client)) == len(daemons))
        old, new = daemons
        for each in daemons:
            eventually("it is said", lambda each=each: each.said("alert.differs"))
        enqueue(redis_url, "email", 5)
        eventually("it fires", lambda: hook.told("email backlog"))
        judged, other = newest(loads(client))
        assert (judged.says["above"], other.says["above"]) == (3, 50)
        # Else what follows waits for the one that nobody knows has arrived.
        eventually("noted as told", lambda: not client.zcard(SharedKeys("jobd").alert_order))
        new.signal(signal.SIGKILL)
        new.wait()
        eventually("the other one's counts", lambda: len(hook.told("email backlog")) > 1)
        eventually("they agree", lambda: old.said("alert.agrees"))
        assert hook.told("email backlog") == ["firing", "resolved"]
        assert [len(each.said("alert.differs")) for each in daemons] == [1, 1]
    client.close()


def loads(client: Client) -> list[Load]:
    return [load for found in LoadStore(client, "jobd").read().values() for load in found]


def waiting(runtime: Path) -> list[object]:
    """What is in a host's own outbox."""
    found: list[object] = json.loads((runtime / "outbox.json").read_text())["entries"]
    return found


def down() -> RuleConfig:
    return RuleConfig(
        name="down", kind="redis_down", above=0.0, for_=0.5, severity="critical", repeat=0.0
    )


def test_each_host_tells_that_redis_is_killed_and_back_once(
    tmp_path: Path, fleet_of: Callable[..., Fleet]
) -> None:
    """A daemon that begins again in the outage tells nobody anew."""
    place = tmp_path / "redis"
    place.mkdir()
    with receiver() as hook, ExitStack() as stack:
        url = stack.enter_context(running(PROGRAMS[DEFAULT], place))
        fleet = fleet_of(url, rules_for(hook, down()), 2)
        fleet.eventually("alerters", lambda: fleet.alerters() == ["running"] * 2)
        runtimes = [daemon.runtime for daemon in fleet.daemons]
        fleet.eventually("they see", lambda: all(alertfile.read(r).epoch for r in runtimes))
        stack.close()  # ends the server

        fleet.eventually("both tell", lambda: len(hook.told("down")) == 2)
        assert [alertfile.firing(runtime) for runtime in runtimes] == [{"down": 1}] * 2
        daemon = fleet.daemons[0]
        # Else it is told again under the same id: nobody knows that it arrived.
        fleet.eventually("it is noted as told", lambda: not waiting(daemon.runtime))
        daemon.signal(signal.SIGKILL)
        daemon.wait()
        said = daemon.text().count("alerts.blind")
        daemon.start()
        fleet.eventually("it looks again", lambda: daemon.text().count("alerts.blind") > said)

        with running(PROGRAMS[DEFAULT], place):
            fleet.eventually("both are back", lambda: hook.told("down").count("resolved") == 2)
            assert hook.told("down") == ["firing"] * 2 + ["resolved"] * 2
            assert all(each["host"] for each in hook.notes())
            assert len(set(hook.ids)) == 4
            fleet.end()


@pytest.mark.chaos
def test_a_redis_that_swallows_everything_is_told_too(
    tmp_path: Path, redis_url: str, fleet_of: Callable[..., Fleet]
) -> None:
    """Connections stand, and nothing is answered."""
    with receiver() as hook, BadLink(redis_url) as link:
        fleet = fleet_of(link.url, rules_for(hook, down()), 1)
        runtime = fleet.daemons[0].runtime
        fleet.eventually("it sees", lambda: alertfile.read(runtime).epoch)
        link.become(Weather.HOLE)
        fleet.eventually("it tells", lambda: hook.told("down"))
        link.become(Weather.FAIR)
        fleet.eventually("it is over", lambda: len(hook.told("down")) == 2)

        assert hook.told("down") == ["firing", "resolved"]
        fleet.end()
