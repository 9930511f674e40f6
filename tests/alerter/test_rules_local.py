"""What one host sees of Redis for itself: told once over any restart, muted here, and never waited for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobd.alerter.local import LocalWatch
from jobd.alerter.sight import Sight
from jobd.broker.alerts import AlertStore
from jobd.broker.connection import connect
from jobd.core.alerts.machine import Spans
from jobd.core.alerts.notification import Notification
from jobd.core.config_alerts import RuleConfig
from jobd.core.errors import BrokerError
from jobd.core.events import Event
from jobd.seams import alertfile
from jobd.seams.alert_outbox import FileOutbox

DOWN = RuleConfig(name="down", kind="redis_down", above=0.0, for_=5.0, repeat=0.0)
BEGAN = 1_000_000


class Died(Exception):
    """The process ends here."""


class Host:
    """One host over restarts of its alerter."""

    def __init__(self, runtime: Path) -> None:
        self.runtime = runtime
        self.now = BEGAN
        self.dies = False
        self.mutes: dict[str, int] = {}
        self.events: list[Event] = []
        self.begin()

    def begin(
        self, rules: Sequence[RuleConfig] = (DOWN,), sinks: Sequence[str] = ("hook",)
    ) -> None:
        self.box = FileOutbox(self.runtime / "outbox.json", emit=self.events.append)
        self.watch = LocalWatch(
            rules, self.runtime, outbox=self, namespace="jobd", host="h", sinks=sinks,
            spans=Spans(clear_for=4000, gap=30_000), emit=self.events.append,
        )  # type: ignore[arg-type]  # fmt: skip

    def add(self, note: Notification, sinks: Sequence[str]) -> int:
        """The outbox; the process may die on the way there."""
        if self.dies:
            raise Died
        return self.box.add(note, sinks)

    def see(self, unreachable: str | None, rounds: int = 1) -> None:
        for _ in range(rounds):
            self.now += 1000
            self.watch.look(unreachable, self.now, mutes=self.mutes, epoch="e")

    def told(self, sink: str = "hook") -> list[Notification]:
        found = []
        while taken := self.box.take([sink]):
            for each in taken:
                assert each.notification is not None
                found.append(each.notification)
                self.box.done(each)
        return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_it_is_told_when_it_goes_and_when_it_is_back(host: Host) -> None:
    """After its time, by this host, in its own words."""
    host.see("", 5)
    host.see("no answer", 5)
    assert host.told() == []
    host.see("no answer", 100)
    [note] = host.told()
    assert (note.status, note.host, note.severity) == ("firing", "h", "warning")
    assert note.summary == "down: no answer (on h)"
    assert alertfile.firing(host.runtime) == {"down": 1}

    host.see("", 100)
    assert [each.status for each in host.told()] == ["resolved"]
    assert alertfile.firing(host.runtime) == {"down": 0}


def test_a_restart_in_between_tells_nothing_anew(host: Host) -> None:
    """Also one that does not know yet how Redis is."""
    host.see("no answer", 20)
    assert len(host.told()) == 1
    for _ in range(5):
        host.begin()
        host.see(None, 10)
        host.see("no answer", 20)
    assert host.told() == []
    host.begin()
    host.see("", 20)
    assert [each.status for each in host.told()] == ["resolved"]


def test_whoever_dies_before_the_outbox_has_it_hands_it_over_next_time(host: Host) -> None:
    """It was written down with the state that it comes of; it is told once, under one id."""
    host.dies = True
    with pytest.raises(Died):
        host.see("no answer", 20)
    [outgoing] = alertfile.read(host.runtime).outgoing
    with pytest.raises(Died):
        host.begin()
    host.dies = False
    host.begin()
    host.see("no answer", 20)
    assert host.told() == [outgoing.note]
    assert alertfile.read(host.runtime).outgoing == []


def test_mutes_of_redis_and_of_this_host_hold(host: Host) -> None:
    """Those of Redis are known while it is away, over a restart too."""
    host.mutes = {"down": BEGAN + 60_000}
    host.see("no answer", 20)
    host.begin()
    host.mutes = dict(host.watch.file.mutes)
    assert host.mutes
    host.see("no answer", 30)
    assert host.told() == []
    host.see("no answer", 20)
    assert [each.status for each in host.told()] == ["firing"]

    alertfile.write_mute(host.runtime, "down", host.now + 60_000)
    host.see("", 30)
    assert host.told() == []
    alertfile.write_mute(host.runtime, "down", 0)
    host.see("")
    assert [each.status for each in host.told()] == ["resolved"]


def test_a_directory_that_cannot_be_written_is_said_once_and_nothing_is_lost(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From memory, for as long as the process lives."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(alertfile, "_replace", full)
    host.see("no answer", 50)
    assert [each.status for each in host.told()] == ["firing"]
    said = [event for event in host.events if event.event == "alerts.unwritten"]
    assert len(said) == 1

    monkeypatch.undo()
    host.see("no answer")
    assert alertfile.firing(host.runtime) == {"down": 1}, "written as soon as there is room"


def test_a_rule_that_is_gone_ends_for_those_who_were_told(host: Host) -> None:
    """By a reload: at once, in words that say so, and once; in a mute when that is over."""
    host.see("no answer", 20)
    assert [each.status for each in host.told()] == ["firing"]
    host.begin(rules=[])
    host.mutes = {"down": host.now + 5000}
    host.see("no answer", 4)
    assert host.told() == []
    host.see("no answer", 5)
    [note] = host.told()
    assert (note.status, note.rule, note.kind, note.host) == ("resolved", "down", "redis_down", "h")
    assert note.summary == "down: resolved: the rule is gone from the configuration (on h)"
    assert [each.of for each in note.instances] == [""]
    host.begin(rules=[])
    host.see("no answer", 20)
    assert host.told() == []
    assert alertfile.read(host.runtime).rules == {}


def test_a_rule_that_is_gone_and_did_not_fire_says_nothing(host: Host) -> None:
    """There is nothing to take back."""
    host.see("no answer", 3)
    host.begin(rules=[])
    host.see("no answer", 5)
    assert host.told() == []
    assert alertfile.read(host.runtime).rules == {}


def test_a_sink_that_takes_anothers_place_hears_that_it_fires_and_then_the_end(host: Host) -> None:
    """The one before is in no configuration of this host: there is no way to tell it."""
    host.see("no answer", 20)
    assert [each.status for each in host.told()] == ["firing"]
    host.begin(sinks=["other"])
    host.see("no answer", 20)
    host.see("", 20)
    assert [each.status for each in host.told("other")] == ["firing", "resolved"]
    assert host.told() == []
    assert len(host.box) == 0


@pytest.mark.parametrize(
    "text", ["", "{", '{"rules": 3}', '{"rules": {"down": {"instances": []}}}']
)
def test_a_file_that_is_none_is_begun_anew(tmp_path: Path, text: str) -> None:
    """It must not keep the alerter from its work."""
    (tmp_path / "alerts.json").write_text(text)
    (tmp_path / "alert_mutes.json").write_text(text)
    host = Host(tmp_path)
    host.see("no answer", 20)
    assert len(host.told()) == 1


def test_silence_is_an_answer_and_nothing_known_is_none() -> None:
    """A thread that hangs says nothing: then that is what is said."""
    fresh = Sight(silent_after=1e9)
    assert fresh.unreachable() is None
    fresh.good()
    assert fresh.unreachable() == ""
    fresh.bad("refused")
    assert fresh.unreachable() == "refused"
    hung = Sight(silent_after=-1.0)
    assert "no answer for" in (hung.unreachable() or "")
    slow = Sight(silent_after=5.0)
    slow.bad("refused")
    slow.heard()
    assert slow.unreachable() == "refused", "one answer is no proof that it can be used"


def test_a_replica_is_no_redis_to_work_with(redis_url: str) -> None:
    """It answers, and takes nothing: known by the first turn that is asked for."""
    client = connect(redis_url)
    client.slaveof("127.0.0.1", 1)
    try:
        with pytest.raises(BrokerError, match="read-only replica"):
            AlertStore(client, "jobd").take_turn([""], 1000)
    finally:
        client.slaveof("NO", "ONE")
        client.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root writes for another user")
def test_a_mute_by_root_is_read_by_the_daemons_user(tmp_path: Path) -> None:
    """The command line of an administrator, and a daemon with a user of its own."""
    os.chown(tmp_path, 65534, 65534)
    alertfile.write_mute(tmp_path, "down", 7)
    found = (tmp_path / alertfile.MUTES).stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (65534, 65534, 0o600)


def test_its_history_stays_in_its_file(tmp_path: Path) -> None:
    """Over a restart, bounded, and with the name of the host."""
    host = Host(tmp_path)
    for _ in range(60):
        host.see("gone", 7)
        host.see("", 6)
    host.begin()

    found = alertfile.read(tmp_path).history
    assert [each.what for each in found[:3]] == ["resolved", "firing", "resolved"]
    assert len(found) == 100
    assert {each.host for each in found} == {"h"}
    host.begin(rules=[])
    host.see("")
    assert alertfile.read(tmp_path).history == found
