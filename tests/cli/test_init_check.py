"""`jobd init` and `jobd check`, and the example that lies in the repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobd.cli.main import main
from jobd.cli.template import template
from jobd.core.alerts.kinds import KINDS
from jobd.core.config import Config, DaemonConfig, QueueConfig, WebConfig, load
from jobd.core.config_advice import warnings
from jobd.core.config_alerts import AlertsConfig, HeartbeatConfig, RuleConfig
from jobd.core.config_drawn import Outside, Secret
from jobd.core.config_places import Places
from jobd.core.config_problems import Findings
from jobd.core.config_web import DashboardConfig
from jobd.core.options import RUN_OPTIONS, read_run_options, resolve

ROOT = Path(__file__).parents[2]
BY_URL, BY_FILE = 'url = "redis://', 'url_file = "redis-url"'
WATCH = 'url_file = "watch-url"'
SINKS = ("webhook", "slack", "pagerduty")
FORMATS = ("auto", "console", "json", "journal")
LEVELS = ("debug", "info", "warning", "error")
MISSED = ("skip", "latest", "all")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBD_REDIS_URL", raising=False)


def checked(*arguments: str) -> tuple[int, dict[str, object]]:
    """Run `jobd check --json` in a process of its own: it imports an app."""
    done = subprocess.run(
        [sys.executable, "-m", "jobd", "check", "--json", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def uncommented(text: str, *but: str) -> str:
    """Give the text with every key in it said, save for some: two ways to say one thing."""
    text = re.sub(r'(?m)^# (?=\[|[a-z_]+ = |  "\*)', "", text)
    for line in but:
        assert line in text
        text = text.replace(line, f"# {line}")
    return text


HASH = "scrypt:32768:8:3:Z7Qqayh6Sd6LcEobz_Fujg:cOP851JoP6xlGd7f-w4j4eWLLr-MgvTqJJxi8iIp6Tc"
TOKEN = f"sha256:{'0' * 64}"
HASHES = {
    "JOBD_OPS_HASH": HASH, "JOBD_EVA_HASH": HASH, "JOBD_DEPLOY_HASH": TOKEN, "JOBD_WATCH_HASH": TOKEN,
}  # fmt: skip


def outside(name: str) -> Secret:
    held = {
        "tom-hash": f"{HASH}\n",
        "cron-hash": f"{TOKEN}\n",
        "redis-url": "redis://127.0.0.1:6379/0",
        "slack-url": "https://hooks.example/services/abc",
    }
    return Secret(held.get(name, "secret"), name)


def everything(*but: str) -> Config:
    """Read the text with every key in it said."""
    world = Outside({"JOBD_WEBHOOK_SECRET": "whsec_c2VjcmV0", **HASHES}, outside)
    return load(uncommented(template("a:b"), *but), "f", world)


def test_what_init_writes_is_the_example_and_the_defaults() -> None:
    """Commented out is what holds anyway; health is served on this host."""
    assert template("shop.jobs:app") == (ROOT / "jobd.toml.example").read_text()
    assert load(template("a:b"), "f") == Config(app="a:b", web=WebConfig(bind="127.0.0.1:9180"))
    assert all(len(line) <= 100 for line in template("a:b").splitlines())


def test_every_commented_key_is_a_key_with_its_default() -> None:
    """Uncommented, the whole file is read; the values it shows are the defaults."""
    config = everything(BY_FILE, WATCH)
    assert everything(BY_URL, WATCH).redis == config.redis == Config().redis

    assert config.queues["email"].options.keys() == {*RUN_OPTIONS}
    assert config.queues["email"].limits == {"rate_limit": False, "max_active": 0}
    built_in = read_run_options(config.queues["email"].options, what="")
    assert resolve(built_in) == resolve()
    assert [each.schedule.when for each in config.schedules] == [
        "0 9 * * * (Europe/Berlin)", "every 5m",
    ]  # fmt: skip
    assert msgspec.structs.replace(config.queues["email"], app=None, options={}, limits={}) == (
        QueueConfig(boot_timeout=DaemonConfig().boot_timeout)
    )
    assert msgspec.structs.replace(config.daemon, queues=None, runtime_dir=None) == DaemonConfig()
    assert (config.daemon.runtime_dir, config.web.bind) == ("/run/jobd", "127.0.0.1:9180")
    assert config.web.dashboard is not None
    assert {n: u.role for n, u in config.web.dashboard.users.items()} == {
        "ops": "operator", "eva": "viewer", "tom": "operator",
    }  # fmt: skip
    assert {t.token for t in config.web.dashboard.tokens.values()} == {TOKEN}
    assert (
        msgspec.structs.replace(config.web.dashboard, users={}, tokens={}, hosts=[], proxies=[])
        == DashboardConfig()
    )
    assert config.alerts.every == AlertsConfig().every
    for rule in config.alerts.rules:
        usual = KINDS[rule.kind]
        assert usual.window in (None, rule.window)
        assert usual.min_runs in (None, rule.min_runs)
        assert usual.above in (None, rule.above)
    assert config.alerts.rules[0].repeat == RuleConfig(name="", kind="").repeat
    assert {sink.timeout for sink in config.alerts.sinks} == {10.0}
    assert config.alerts.heartbeat is not None
    assert config.alerts.heartbeat.every == HeartbeatConfig(url="").every


def test_every_key_the_code_reads_is_in_the_example_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader itself is asked which keys it knows, table by table."""
    known: dict[str, set[str]] = {}
    plain = Findings.known

    def noted(
        self: Findings, table: Mapping[str, Any], path: str, names: tuple[str, ...], *more: Any
    ) -> None:
        # Of a list of tables, one may have what another cannot.
        known.setdefault(table_of(path), set()).update(names)
        plain(self, table, path, names, *more)

    monkeypatch.setattr(Findings, "known", noted)
    everything(BY_FILE, WATCH)  # neither a problem, nor a key that is not known
    written: dict[str, set[str]] = {}
    data = tomllib.loads(uncommented(template("a:b")))
    collect(data, "", written)

    for path, keys in list(written.items()):
        written.setdefault(table_of(path), set()).update(keys)
    assert {path: written.get(path) for path in known} == known
    assert set(known) == {
        "", "redis", "daemon", "daemon.log", "queues.email", "schedules[]", "web", "alerts", "alerts.rules[]",
        "alerts.sinks[]", "alerts.heartbeat", "web.dashboard", "web.dashboard.users.NAME",
        "web.dashboard.tokens.NAME",
    }  # fmt: skip
    for name in (*KINDS, *SINKS, *FORMATS, *LEVELS, *MISSED):
        assert re.search(rf"\b{name}\b", template("a:b")), name


def table_of(path: str) -> str:
    """Name the kind of a table, whatever its place in a list and the name of a user."""
    kind = re.sub(r"\[\d+\]", "[]", path)
    return re.sub(r"^(web\.dashboard\.\w+)\.\w+$", r"\1.NAME", kind)


def collect(value: object, path: str, found: dict[str, set[str]]) -> None:
    """Note the keys of every table, those of a list together."""
    if isinstance(value, dict):
        found.setdefault(path, set()).update(value)
        for key, each in value.items():
            collect(each, f"{path}.{key}".strip("."), found)
    elif isinstance(value, list):
        for each in value:
            collect(each, f"{path}[]", found)


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time it refuses."""
    assert main(["init", "my.jobs:app"]) == 0
    (tmp_path / "jobd.toml").write_text("mine")
    assert main(["init"]) == 73
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "jobd.toml").read_text() == "mine"
    assert main(["init", "-c", "no/such/place.toml"]) == 73
    (tmp_path / "link.toml").symlink_to("gone.toml")
    capsys.readouterr()
    assert main(["init", "-c", "link.toml"]) == 73
    assert "link.toml: a link to gone.toml, which is not there; expected" in capsys.readouterr().err
    assert not (tmp_path / "gone.toml").exists()
    assert main(["init", "not an app", "-c", "other.toml"]) == 64


def test_check_is_content_with_a_good_file(tmp_path: Path) -> None:
    """It imports the app from the working directory."""
    (tmp_path / "shop.py").write_text("from jobd import Jobd\napp = Jobd()\napp.queue('email')\n")
    assert main(["init", "shop:app"]) == 0

    code, found = checked()

    assert (code, found["ok"], found["problems"], found["warnings"]) == (0, True, [], [])


def test_check_misses_the_queues_of_an_empty_app(tmp_path: Path) -> None:
    """Their modules were not imported, perhaps: nothing would be served, without a word."""
    (tmp_path / "shop.py").write_text("from jobd import Jobd\napp = Jobd()\n")
    (tmp_path / "jobd.toml").write_text('app = "shop:app"\n')

    code, found = checked()

    assert code == 0
    assert "declares no queue" in json.dumps(found["warnings"])


def test_check_names_what_does_not_fit(tmp_path: Path) -> None:
    """The app speaks to another Redis; a queue is misspelled; nothing is served on the web yet."""
    (tmp_path / "shop.py").write_text("from jobd import Jobd\napp = Jobd()\napp.queue('email')\n")
    (tmp_path / "jobd.toml").write_text(
        'app = "shop:app"\n[redis]\nurl = "redis://:hunter2@r/1"\nnamespace = "n"\n'
        '[queues.emial]\n[web]\nbind = "127.0.0.1:1"\n'
    )

    code, found = checked()

    text = json.dumps(found["warnings"])
    assert (code, len(list(found["warnings"]))) == (0, 4)  # type: ignore[call-overload]
    assert "adds jobs to 'redis://127.0.0.1:6379/0'" in text
    assert "redis.namespace: 'n'" in text
    assert "queues.emial" in text
    assert "did you mean 'email'?" in text
    assert "hunter2" not in text


def test_check_knows_what_only_code_and_file_together_get_wrong(tmp_path: Path) -> None:
    """The file's soft timeout, and the hard one of the code or of the house."""
    (tmp_path / "shop.py").write_text(
        "from jobd import Jobd\napp = Jobd()\nq = app.queue('email')\n@q.task()\ndef send(): ...\n"
    )
    (tmp_path / "jobd.toml").write_text('app = "shop:app"\n[queues.email]\nsoft_timeout = "40m"\n')

    code, found = checked()

    assert code == 78
    [problem] = found["problems"]  # type: ignore[misc]
    assert "task 'send': soft_timeout 2400s; expected less than the timeout" in str(problem)


def test_check_compares_alerts_and_schedules_with_the_code(tmp_path: Path) -> None:
    """A rule for a queue or task that nobody has, a sink that nobody names, a process without work."""
    (tmp_path / "shop.py").write_text(
        "from jobd import Jobd\napp = Jobd()\nq = app.queue('email')\n@q.task()\ndef send(): ...\n"
    )
    (tmp_path / "jobd.toml").write_text(
        """app = "shop:app"
alerts.builtin = false
[daemon]
queues = ["email", "emails"]
[queues.email]
processes = 4
concurrency = 5
max_active = 15
[[schedules]]
name = "s"
queue = "email"
task = "sent"
every = "5m"
[[alerts.rules]]
kind = "backlog"
queue = "emial"
above = 1
sinks = ["one"]
[[alerts.rules]]
kind = "stuck"
task = "sned"
above = "1h"
sinks = ["one"]
[[alerts.sinks]]
name = "one"
kind = "webhook"
url = "https://a/b"
[[alerts.sinks]]
name = "other"
kind = "webhook"
url = "https://a/b"
"""
    )

    code, found = checked()

    noted = found["warnings"]
    assert isinstance(noted, list)
    assert code == 0
    for place, said in {
        "8: queues.email.max_active": "15 jobs at once over all hosts, and 4 processes of 5",
        "28: alerts.sinks[1]": "'other' is named by no rule",
        "12: schedules[0].task": "did you mean 'send'?",
        "16: alerts.rules[0].queue": "'emial' is a queue of neither the code nor this file; the rule "
        "has nothing to look at; did you mean 'email'?",
        "21: alerts.rules[1].task": "did you mean 'send'?",
        "4: daemon.queues": "did you mean 'email'?",
    }.items():
        [line] = [each for each in noted if each.startswith(f"jobd.toml:{place}: ")]
        assert said in line
    assert len([each for each in noted if ".secret: not set; " in each]) == 2
    assert len(noted) == 8


def test_alerts_that_nobody_hears_and_sinks_that_hear_nothing() -> None:
    """One without the other is a warning; both, or every rule to all sinks, is none."""
    rule = "[[alerts.rules]]\nkind = 'dead'\n"
    sink = "[[alerts.sinks]]\nkind = 'webhook'\nurl = 'https://a/b'\nsecret = 'a long secret'\n"

    def said(text: str) -> list[str]:
        return warnings(load(text, "f"), Places("f"))

    [nobody] = said(rule)
    assert nobody.startswith("f: alerts.rules: 1 and no [[alerts.sinks]]")
    assert said(sink) == []  # the rules that are there by themselves
    [nothing] = said(f"[alerts]\nbuiltin = false\n{sink}")
    assert nothing.startswith("f: alerts.sinks: 1 and no [[alerts.rules]]")
    assert said(rule + sink) == said("") == []
    assert said(rule) == said(f"[alerts]\nbuiltin = false\n{rule}")


def test_a_webhook_that_is_not_signed_is_named() -> None:
    """Its receiver cannot tell who sent it. The other kinds need no signature."""
    unsigned = "[[alerts.sinks]]\nkind = 'webhook'\nurl = 'https://a/b'\n"
    slack = "[[alerts.sinks]]\nkind = 'slack'\nurl = 'https://a/b'\n"

    [warning] = warnings(load(unsigned + slack, "f"), Places("f"))
    assert warning.startswith("f: alerts.sinks[0].secret: not set; ")


def test_check_goes_on_without_what_the_daemon_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is compared all the same, and it says where the rest may be."""
    (tmp_path / "shop.py").write_text("from jobd import Jobd\napp = Jobd()\napp.queue('email')\n")
    sink = '[[alerts.sinks]]\nkind = "webhook"\nurl = "https://a/b"\nsecret = "${SECRET}"\n'
    rule = '[[alerts.rules]]\nkind = "dead"\nsinks = ["webhook"]\n'
    (tmp_path / "jobd.toml").write_text(f'app = "shop:app"\n[queues.emial]\n{sink}{rule}')

    code, found = checked()
    assert (code, found["ok"]) == (78, False)
    assert str(found["problems"]).startswith(
        "['jobd.toml:6: alerts.sinks[0].secret: ${SECRET} is not"
    )
    assert "EnvironmentFile=" in str(found["warnings"])
    assert "'shop:app' declares no such queue" in str(found["warnings"])
    monkeypatch.setenv("SECRET", "s3cret")
    code, found = checked()
    assert (code, found["problems"]) == (0, [])
    assert "s3cret" not in json.dumps(found)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import nowhere_to_be_found", "ModuleNotFoundError"),
        ("app = 5", "is of type int; expected a jobd.Jobd"),
        ("other = 5", "expected the attribute that holds"),
        ("app = (", "SyntaxError"),
        ("raise SystemExit(0)", "SystemExit"),
    ],
)
def test_an_app_that_does_not_load_is_78(tmp_path: Path, source: str, why: str) -> None:
    """One readable paragraph, no traceback."""
    (tmp_path / "shop.py").write_text(source)
    (tmp_path / "jobd.toml").write_text('app = "shop:app"\n')

    code, found = checked()

    assert (code, found["ok"]) == (78, False)
    [problem] = found["problems"]  # type: ignore[misc]
    assert problem.startswith("jobd.toml:1: app: 'shop:app' ")
    assert why in problem
