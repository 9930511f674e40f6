"""`jobd alerts list|test|mute|unmute`: what is shown of rules, with Redis and without, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from jobd.broker.alert_loads import LoadStore
from jobd.broker.alerts import AlertStore, Move
from jobd.broker.connection import connect
from jobd.cli.main import main
from jobd.core.alerts.history import Change
from jobd.core.alerts.machine import InstanceState, RuleState
from jobd.core.alerts.notification import Instance
from jobd.core.config_alerts import RuleConfig
from jobd.seams import alertfile
from jobd.seams.alertfile import LocalAlerts
from jobd.seams.clock import wall_ms

CONFIG = """
[alerts]
builtin = false
[daemon]
runtime_dir = "{run}"
[[alerts.rules]]
name = "email backlog"
kind = "backlog"
queue = "email"
above = 1000
[[alerts.rules]]
name = "down"
kind = "redis_down"
[[alerts.sinks]]
kind = "webhook"
url = "{url}"
allow_private = true
[[alerts.sinks]]
name = "closed"
kind = "webhook"
url = "http://127.0.0.1:9/"
allow_private = true
timeout = 1
"""
NOWHERE = "redis://127.0.0.1:1/0"

Ask = Callable[..., Any]


class _Sink(HTTPServer):
    bodies: list[Any]


@pytest.fixture
def sink() -> Iterator[_Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            server.bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = _Sink(("127.0.0.1", 0), Handler)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str, sink: _Sink) -> Path:
    """A file, a runtime directory, and Redis named by the environment."""
    run = tmp_path / "run"
    run.mkdir()
    url = f"http://127.0.0.1:{sink.server_address[1]}/hook"
    (tmp_path / "jobd.toml").write_text(CONFIG.format(run=run, url=url))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    return run


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `jobd alerts ... --json`; give what it printed."""

    def run(*arguments: str, code: int = 0) -> Any:
        assert main(["alerts", *arguments, "--json"]) == code, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


def firing(of: str, shown: str) -> RuleState:
    now = wall_ms()
    each = InstanceState(phase="firing", since_ms=now - 60_000, seen_ms=now, value=7.0, shown=shown)
    return RuleState(instances={of: each}, told_ms=now - 50_000, looked_ms=now)


def test_rules_are_shown_with_what_they_see(
    ask: Ask, here: Path, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of the file, of Redis and of this host; also one that only another host's file has."""
    client = connect(redis_url)
    store = AlertStore(client, "jobd")
    store.move([Move("email backlog", b"", firing("email", "7 jobs wait"))])
    store.move([Move("elsewhere", b"", RuleState(looked_ms=wall_ms(), kind="dead"))])
    alertfile.write(here, LocalAlerts(rules={"down": firing("", "redis: gone")}))
    client.close()

    rules = {each["name"]: each for each in ask("list")["rules"]}
    assert {name: each["state"] for name, each in rules.items()} == {
        "email backlog": "firing", "down": "firing", "elsewhere": "inactive",
    }  # fmt: skip
    assert rules["email backlog"]["threshold"] == 1000
    assert rules["email backlog"]["instances"][0]["of"] == "email"
    assert rules["down"]["this_host_only"]
    assert not rules["elsewhere"]["configured"]

    assert main(["alerts", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["RULE", "KIND", "STATE", "OF", "SINCE", "VALUE", "THRESHOLD", "TOLD", "NOTE"]  # fmt: skip
    assert "1m ago  7 jobs wait  1,000" in lines[1]
    assert "not in this configuration" in lines[3]
    assert lines[3].split()[:2] == ["elsewhere", "dead"]


def test_hosts_that_define_a_rule_differently_are_named(
    ask: Ask, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the list and by the doctor, and which of them counts; what a stranger put there is no terminal's."""
    client = connect(redis_url)
    store = LoadStore(client, "jobd")
    for number, above in enumerate((5.0, 1000.0)):
        rule = RuleConfig(name="email backlog", kind="backlog", queue="email", above=above)
        host = f"h{number}\x1b[1m"
        store.say([rule], age_ms=10_000 - number, for_ms=60_000, owner=f"{number}", host=host)
    client.close()

    said = [each["differs"] for each in ask("list")["rules"]]
    assert said == [
        "h1\x1b[1m has above 1000, which counts, loaded last; h0\x1b[1m has above 5", None,
    ]  # fmt: skip
    assert main(["alerts", "list"]) == 0
    assert "hosts differ: h1" in (out := capsys.readouterr().out)
    main(["doctor"])
    assert "alert rule 'email backlog': hosts differ: h1" in (found := capsys.readouterr().out)
    assert "jobd reload" in found
    assert "\x1b" not in out + found


def test_rules_that_nobody_looks_at_are_unknown(ask: Ask) -> None:
    """No daemon runs."""
    assert {each["state"] for each in ask("list")["rules"]} == {"unknown"}


def test_without_redis_this_host_still_says_what_it_sees(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the code says that it is not all."""
    monkeypatch.setenv("JOBD_REDIS_URL", NOWHERE)
    alertfile.write(here, LocalAlerts(rules={"down": firing("", "redis: gone")}))

    rules = {each["name"]: each["state"] for each in ask("list", code=69)["rules"]}

    assert rules == {"email backlog": "unknown", "down": "firing"}

    assert main(["alerts", "list"]) == 69
    lines = capsys.readouterr().out
    assert "its state is in Redis, which cannot be asked" in lines
    assert "no daemon has looked" not in lines


def test_a_rule_is_muted_and_unmuted(ask: Ask, redis_url: str) -> None:
    """Until a time, on all hosts."""
    until = ask("mute", "email backlog", "--for", "2h")["muted_until"]
    assert 7_190_000 < until - wall_ms() <= 7_200_000
    shown = {each["name"]: each["muted_until"] for each in ask("list")["rules"]}
    assert shown == {"email backlog": until, "down": None}

    assert ask("unmute", "email backlog")["was_muted"]
    assert not ask("unmute", "email backlog")["was_muted"]


def test_what_rules_went_through_is_shown(
    ask: Ask, here: Path, redis_url: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Of all hosts and of this one, the newest first, and of one rule; without Redis what is here."""
    assert ask("history") == {"changes": []}
    change = Change(
        rule="email backlog", what="firing", kind="backlog",
        instances=[Instance(of="email", value=7.0, shown="7 jobs wait")], more=3,
    )  # fmt: skip
    store = AlertStore(connect(redis_url), "jobd")
    store.move([Move("email backlog", b"", firing("email", ""), changes=[change])])
    alertfile.write(here, LocalAlerts(history=[Change(rule="down", what="firing", host="h")]))
    ask("mute", "email backlog", "--for", "2h")

    found = ask("history")["changes"]
    assert [each["what"] for each in found] == ["muted", "firing", "firing"]
    assert found[0]["muted_until"] - found[0]["at"] == 7_200_000
    assert [each["rule"] for each in ask("history", "down")["changes"]] == ["down"]
    assert len(ask("history", "--limit", "2")["changes"]) == 2
    assert main(["alerts", "history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["AT", "RULE", "WHAT", "OF", "VALUE", "NOTE"]
    assert "email backlog  muted" in lines[1]
    assert lines[1].endswith("for 2h")
    assert "7 jobs wait" in lines[2]
    assert lines[2].endswith("and 3 more")

    monkeypatch.setenv("JOBD_REDIS_URL", NOWHERE)
    assert [each["rule"] for each in ask("history", code=69)["changes"]] == ["down"]


def test_a_mute_for_no_time_is_refused(
    ask: Ask, capsys: pytest.CaptureFixture[str], redis_url: str
) -> None:
    """It would say "muted", and be over."""
    for span in ("0s", "59s", "91d"):
        assert main(["alerts", "mute", "down", "--for", span]) == 64
    assert "alerts unmute" in capsys.readouterr().err
    assert {each["muted_until"] for each in ask("list")["rules"]} == {None}


def test_without_redis_only_what_is_about_redis_can_be_muted_and_here_alone(
    ask: Ask, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That is when one wants to."""
    monkeypatch.setenv("JOBD_REDIS_URL", NOWHERE)

    muted = ask("mute", "down", "--for", "1h")
    assert muted["where"] == "on this host"
    assert alertfile.read_mutes(here) == {"down": muted["muted_until"]}
    assert ask("unmute", "down")["was_muted"]
    assert alertfile.read_mutes(here) == {}
    assert main(["alerts", "mute", "email backlog", "--for", "1h"]) == 69
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [("mute", "--for", "1h"), ("unmute",)])
def test_an_unknown_rule_gets_the_nearest_name(
    verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is done."""
    name, *more = verb
    assert main(["alerts", name, "email backlg", *more]) == 66
    assert "did you mean 'email backlog'?" in capsys.readouterr().err


def test_a_test_says_of_each_sink_what_became_of_it(
    ask: Ask, sink: _Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    """One takes it, the other cannot be reached."""
    told = ask("test", code=69)
    assert [(each["sink"], each["sent"]) for each in told] == [("webhook", True), ("closed", False)]
    assert "cannot be reached" in told[1]["why"]
    assert len(sink.bodies) == 1

    assert main(["alerts", "test", "--sink", "webhook"]) == 0
    assert "webhook (http://127.0.0.1:" in capsys.readouterr().out
    assert main(["alerts", "test", "--sink", "webhok"]) == 66
    assert "did you mean 'webhook'?" in capsys.readouterr().err


def test_a_test_without_sinks_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nobody to tell."""
    (tmp_path / "jobd.toml").write_text("[[alerts.rules]]\nkind = 'redis_down'\n")

    assert main(["alerts", "test"]) == 78
    assert "add [[alerts.sinks]]" in capsys.readouterr().err
