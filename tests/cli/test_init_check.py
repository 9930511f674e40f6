"""`jobd init` and `jobd check`, and the example that lies in the repository."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from jobd.cli.main import main
from jobd.cli.template import template
from jobd.core.config import Config, DaemonConfig, QueueConfig, load
from jobd.core.limits import LIMIT_OPTIONS
from jobd.core.options import RUN_OPTIONS

ROOT = Path(__file__).parents[2]


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


def test_what_init_writes_is_the_example_and_the_defaults() -> None:
    """Commented out is what holds anyway."""
    assert template("shop.jobs:app") == (ROOT / "jobd.toml.example").read_text()
    assert load(template("a:b"), "f") == Config(app="a:b")


def test_every_commented_key_is_a_key_with_its_default() -> None:
    """Uncommented, the whole file is read; the values it shows are the defaults."""
    text = re.sub(r"(?m)^# (?=\[|[a-z_]+ = )", "", template("a:b"))
    config = load(text, "f")

    assert config.queues["email"].options.keys() == {
        "attempts", "backoff", "timeout", "soft_timeout", "max_crashes", "retain"
    }  # fmt: skip
    assert config.queues["email"].limits == {"rate_limit": False, "max_active": 0}
    assert [each.schedule.when for each in config.schedules] == [
        "0 9 * * * (Europe/Berlin)", "every 5m",
    ]  # fmt: skip
    assert msgspec.structs.replace(config.queues["email"], app=None, options={}, limits={}) == (
        QueueConfig(boot_timeout=DaemonConfig().boot_timeout)
    )
    assert msgspec.structs.replace(config.daemon, queues=None, runtime_dir=None) == DaemonConfig()
    assert config.redis == Config().redis
    assert config.daemon.log == Config().daemon.log
    assert (config.daemon.lease, config.daemon.drain_timeout) == (30.0, 25.0)
    assert (config.daemon.runtime_dir, config.web.bind) == ("/run/jobd", "127.0.0.1:9180")


def test_every_key_is_in_the_example() -> None:
    """What can be said is said there, once."""
    text = template("a:b")
    keys = {*QueueConfig.__struct_fields__, *DaemonConfig.__struct_fields__} - {"options", "limits"}
    keys |= {*RUN_OPTIONS, *LIMIT_OPTIONS} - {"retry_on", "give_up_on"}
    for key in keys:
        assert re.search(rf"(?m)^# {key} = ", text), key


def test_init_overwrites_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time it refuses."""
    assert main(["init", "my.jobs:app"]) == 0
    (tmp_path / "jobd.toml").write_text("mine")
    assert main(["init"]) == 73
    assert "exists already" in capsys.readouterr().err
    assert (tmp_path / "jobd.toml").read_text() == "mine"
    assert main(["init", "-c", "no/such/place.toml"]) == 73
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
    assert why in json.dumps(found["problems"])
