"""`jobd config show`: what holds, where each value comes from, and no secret among it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobd.cli.main import main
from jobd.core.config import Config, QueueConfig, load
from jobd.core.passwords import hashed, written

FULL = """\
app = "shop.jobs:app"
[redis]
url = "redis://u:hunter2@h/0"
[daemon]
lease = "20s"
log.level = "debug"
queues = ["email", "a.b"]
[queues.email]
processes = { min = 1, max = 4 }
memory_limit = "300MB"
timeout = "60s"
rate_limit = { max = 5, per = "1m" }
[queues."a.b"]
app = "shop.mail:app"
boot_timeout = 90
[[schedules]]
name = "digest"
queue = "email"
task = "t"
cron = "0 9 * * *"
args = { "odd key" = [1, "redis://u:hunter2@h"], at = 2025-01-01T00:00:00Z }
attempts = 3
[web]
bind = "127.0.0.1:9180"
[[alerts.rules]]
kind = "backlog"
above = 1000
for = "5m"
[[alerts.rules]]
kind = "failure_rate"
queue = "${QUEUE}"
above = "10%"
[[alerts.sinks]]
kind = "slack"
url = "https://hooks.example/hunter2"
[[alerts.sinks]]
kind = "webhook"
url = "https://u:hunter2@hooks.example/a?k=hunter2"
secret = "hunter2"
[[alerts.sinks]]
name = "other"
kind = "webhook"
url = "https://hooks.example/${TOKEN}"
[[alerts.sinks]]
kind = "pagerduty"
secret_file = "key"
[alerts.heartbeat]
url = "https://watch.example/hunter2"
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("JOBD_REDIS_URL", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("QUEUE", "email")
    monkeypatch.setenv("TOKEN", "hunter2")
    (tmp_path / "jobd.toml").write_text(FULL)
    (tmp_path / "key").write_text("hunter2\n")
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(["config", "show", *arguments]) == code
    said = capsys.readouterr()
    assert "hunter2" not in said.out + said.err
    return said.out


def origins(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[Any, ...]]:
    found = json.loads(shown(capsys, "--json", *arguments))
    return {
        each["key"]: (each["value"], each["origin"], each["from"], each["line"])
        for each in found["values"]
    }


def test_what_is_shown_is_toml_that_means_the_same(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every value that holds is there: read again, it is the same configuration."""
    text = re.sub(r"(?s)\[redis\]\n[^[]*", "", FULL)
    sink = '[[alerts.sinks]]\nkind = "webhook"\nurl = "https://hooks.example/a"\n'
    text = re.sub(r"(?s)\[\[alerts.sinks.*", sink, text).replace('"redis://u:hunter2@h"', '"x"')
    (place / "jobd.toml").write_text(text)

    again = load(shown(capsys), "again")

    config = load(text.replace("${QUEUE}", "email"), "f")
    email = msgspec.structs.replace(config.queues["email"], app=config.app, boot_timeout=60.0)
    assert again == msgspec.structs.replace(
        config,
        daemon=msgspec.structs.replace(config.daemon, runtime_dir=again.daemon.runtime_dir),
        queues=config.queues | {"email": email},
    )
    assert isinstance(again, Config)
    assert again.queues["a.b"] == QueueConfig(app="shop.mail:app", boot_timeout=90.0)


def test_secrets_are_masked_everywhere(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Passwords, secrets, the addresses that are secrets, and what came from elsewhere into one."""
    data = tomllib.loads(shown(capsys))

    assert data["redis"]["url"] == "redis://u:***@h/0"
    assert [sink["url"] for sink in data["alerts"]["sinks"] if "url" in sink] == [
        "https://hooks.example/***", "https://***@hooks.example/a?***", "https://hooks.example/***",
    ]  # fmt: skip
    assert [sink.get("secret") for sink in data["alerts"]["sinks"]] == [None, "***", None, "***"]
    assert data["alerts"]["heartbeat"]["url"] == "https://watch.example/***"
    assert data["schedules"][0]["args"]["odd key"] == [1, "redis://***@h"]
    token = "hunter2-9f86d081884c7d659a2feaa0c55ad015"
    (place / "jobd.toml").write_text(
        f'[[alerts.sinks]]\nkind = "webhook"\nurl = "https://hooks.example/in/{token}/x"\n'
    )
    assert "https://hooks.example/***" in shown(capsys)
    (place / "jobd.toml").write_text('[redis]\nurl_file = "key"\n')
    (place / "key").write_text("redis://u:hunter2@h/3")
    assert origins(capsys)["redis.url"] == (
        "redis://u:***@h/3", "credential", "key, named in jobd.toml:2", 2,
    )  # fmt: skip


def test_each_value_has_its_origin(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Default, file and line, environment, flag, credential file, another key."""
    found = origins(capsys)
    assert found["app"] == ("shop.jobs:app", "file", "jobd.toml:1", 1)
    assert found["daemon.lease"] == ("20s", "file", "jobd.toml:5", 5)
    assert found["daemon.drain_timeout"] == ("25s", "default", None, None)
    assert found["daemon.log.level"] == ("debug", "file", "jobd.toml:6", 6)
    assert found["queues.email.app"] == ("shop.jobs:app", "inherited", "app", None)
    assert found["queues.email.memory_limit"] == ("300MB", "file", "jobd.toml:10", 10)
    assert found["queues.a.b.boot_timeout"] == (90, "file", "jobd.toml:15", 15)
    assert found["schedules[0].missed"] == ("latest", "default", None, None)
    assert found["alerts.rules[0].above"] == (1000, "file", "jobd.toml:27", 27)
    assert found["alerts.rules[1].queue"] == (
        "email", "environment", "jobd.toml:31, ${QUEUE}", 31,
    )  # fmt: skip
    assert found["alerts.rules[2].kind"] == ("redis_down", "inherited", "alerts.builtin", None)
    assert found["alerts.rules[1].window"] == ("5m", "default", None, None)
    assert found["alerts.sinks[3].secret"] == (
        "***", "credential", "key, named in jobd.toml:46", 46,
    )  # fmt: skip

    monkeypatch.setenv("JOBD_REDIS_URL", "redis://:hunter2@e/0")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/jobd")
    found = origins(capsys)
    assert found["redis.url"] == ("redis://:***@e/0", "environment", "JOBD_REDIS_URL", None)
    assert found["daemon.runtime_dir"] == ("/run/jobd", "environment", "RUNTIME_DIRECTORY", None)
    found = origins(capsys, "--redis-url", "redis://f", "--app", "a:b", "--runtime-dir", "/x")
    assert found["redis.url"] == ("redis://f", "flag", "--redis-url", None)
    assert found["app"] == ("a:b", "flag", "--app", None)
    assert found["daemon.runtime_dir"] == ("/x", "flag", "--runtime-dir", None)


def test_a_runtime_directory_that_the_file_draws_has_its_origin(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every other key; a flag goes before it."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/jobd")
    (place / "jobd.toml").write_text('[daemon]\nruntime_dir = "/srv"\n')
    assert origins(capsys)["daemon.runtime_dir"] == ("/srv", "file", "jobd.toml:2", 2)

    (place / "jobd.toml").write_text('[daemon]\nruntime_dir = "/srv/${QUEUE}"\n')
    assert origins(capsys)["daemon.runtime_dir"] == (
        "/srv/email", "environment", "jobd.toml:2, ${QUEUE}", 2,
    )  # fmt: skip
    found = origins(capsys, "--runtime-dir", "/x")
    assert found["daemon.runtime_dir"] == ("/x", "flag", "--runtime-dir", None)

    monkeypatch.delenv("QUEUE")
    value, *_, line = origins(capsys)["daemon.runtime_dir"]
    assert (value, line) == (None, 2)


def test_comments_stand_below_one_another(capsys: pytest.CaptureFixture[str]) -> None:
    """One column in a table."""
    text = shown(capsys)

    daemon = text.partition("[daemon]\n")[2].partition("\n\n")[0].splitlines()
    assert 'lease = "20s"' in daemon[0]
    assert len({line.rindex("   # ") for line in daemon}) == 1
    assert '[queues."a.b"]' in text


def test_without_a_file_and_with_a_broken_one(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Defaults; what is missing here beside what is not; a refusal with all problems."""
    monkeypatch.delenv("QUEUE")
    (place / "key").unlink()
    text = shown(capsys)
    assert "# queue is not set" in text
    assert "# missing here: jobd.toml:31: alerts.rules[1].queue: ${QUEUE} is not set" in text
    assert "# missing here: jobd.toml:46: alerts.sinks[3].secret_file: 'key': key: No such" in text
    assert tomllib.loads(text)["daemon"]["lease"] == "20s"
    (place / "jobd.toml").write_text("lease = 5")
    assert shown(capsys, code=78) == ""
    (place / "jobd.toml").unlink()
    assert shown(capsys).startswith("# no file: defaults\n\n# app is not set   # default\n")


def test_hashes_are_masked_and_the_dashboard_is_shown(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever way they are written; a dashboard that there is none of is not shown."""
    text, token = written(hashed("hunter2", b"saltsalt")), f"sha256:{'0' * 64}"
    monkeypatch.setenv("HASH", text)
    (place / "tom").write_text(text)
    (place / "jobd.toml").write_text(
        f'[web.dashboard]\nhosts = ["jobs.example"]\nusers.ops = "{text}"\nusers.eva = "${{HASH}}"\n'
        f'users.ana = {{ password = "{text}", role = "viewer" }}\n'
        f'users.tom = {{ password_file = "tom" }}\ntokens.ci = "{token}"\n'
    )
    said = shown(capsys)
    assert text not in said
    assert token not in said
    found = tomllib.loads(said)["web"]["dashboard"]
    assert found["users"] == {
        "ops": "***", "eva": "***", "ana": {"password": "***", "role": "viewer"},
        "tom": {"password_file": "tom"},
    }  # fmt: skip
    assert (found["tokens"], found["hosts"]) == ({"ci": "***"}, ["jobs.example"])
    assert (found["session_idle"], found["open"]) == ("8h", False)
    (place / "jobd.toml").write_text("")
    assert "dashboard" not in shown(capsys)
