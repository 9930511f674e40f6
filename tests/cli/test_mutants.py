"""Broken configurations by the thousand: an answer for each, never a traceback, never half a start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.mutations import every_replacement, mutant

from jobd.cli import in_force, settings
from jobd.cli.main import main
from jobd.cli.template import template
from jobd.core.config import Config, load
from jobd.core.config_advice import require_app
from jobd.core.errors import ConfigError
from jobd.seams import secretfile

APP = """
from jobd import Jobd
app = Jobd()
for queue, task in (("email", "send"), ("reports", "digest"), ("reports", "tidy")):
    app.queue(queue).task(task)(lambda: None)
"""
PROBLEM = re.compile(r"jobd\.toml(:\d+)?: (?!\s*$)")
SEEDED = 200
HASH = "scrypt:32768:8:3:Z7Qqayh6Sd6LcEobz_Fujg:cOP851JoP6xlGd7f-w4j4eWLLr-MgvTqJJxi8iIp6Tc"
TOKEN = f"sha256:{'0' * 64}"


def whole(directory: Path) -> str:
    """Give a configuration with every key, that is good."""
    text = re.sub(r'(?m)^# (?=\[|[a-z_]+ = |  "\*)', "", template("mutants:app"))
    for line in ('url_file = "redis-url"', 'url_file = "watch-url"'):
        text = text.replace(line, f"# {line}")
    text = text.replace('app = "shop.mail:app"', 'app = "mutants:app"')
    text = re.sub(r"(?m)^#.*\n|^\n|   +# .*$", "", text)
    return text.replace('"/run/jobd"', f'"{directory}/run"')


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mutants", raising=False)
    for name in ("JOBD_REDIS_URL", "RUNTIME_DIRECTORY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JOBD_WEBHOOK_SECRET", "whsec_c2VjcmV0")
    for name in ("OPS", "EVA"):
        monkeypatch.setenv(f"JOBD_{name}_HASH", HASH)
    for name in ("DEPLOY", "WATCH"):
        monkeypatch.setenv(f"JOBD_{name}_HASH", TOKEN)
    (tmp_path / "mutants.py").write_text(APP)
    for name in ("slack-url", "pagerduty-key"):
        (tmp_path / name).write_text("https://hooks.example/1")
        (tmp_path / name).chmod(0o600)
    for name, text in (("tom-hash", HASH), ("cron-hash", TOKEN)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def judged(place: Path, capsys: pytest.CaptureFixture[str], seed: int) -> int:
    """Write a mutant, and let each command that reads a file have it. Give what `check` says."""
    file = place / "jobd.toml"
    file.write_bytes(mutant(whole(place), seed))
    file.chmod(0o600)
    code = main(["check", "-c", "jobd.toml"])
    said = capsys.readouterr()
    assert code in (0, 78), seed
    assert "Traceback" not in said.err, seed
    problems = [line for line in said.out.splitlines() if not line.startswith("warning: ")]
    for line in problems:
        found = PROBLEM.match(line)
        assert found is not None, (seed, line)
        assert found[1] or not code, (seed, line)
        assert len(line) < 1000, (seed, line)
        assert line.isprintable(), (seed, line)
    assert problems, seed
    # For looking at a daemon the file need not be good.
    assert str(in_force.directory_of(file, None)).isprintable(), seed
    if code == 0 or any("app: " in line for line in problems):
        _usable(file, capsys, seed)
    return code


def _usable(file: Path, capsys: pytest.CaptureFixture[str], seed: int) -> None:
    """What can be read is shown, and travels to the daemon's processes."""
    try:
        config = settings.whole(file, url=None).config
    except ConfigError:
        return
    assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config, seed
    assert main(["config", "show"]) == 0, seed
    assert capsys.readouterr().err == "", seed


def test_the_whole_one_is_good(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or the mutants would be wrong for another reason."""
    (place / "jobd.toml").write_text(whole(place))

    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "jobd.toml: good"


def test_mutated_configurations_are_answered(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is good or 78, and each problem has its line."""
    codes = Counter(judged(place, capsys, seed) for seed in range(SEEDED))

    assert codes.total() == SEEDED
    assert min(codes[0], codes[78]) > SEEDED / 50  # both kinds are among them


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_thousand_mutated_configurations_are_answered(
    place: Path, capsys: pytest.CaptureFixture[str], record_property: Any
) -> None:
    """The same, for longer."""
    codes = Counter(judged(place, capsys, seed) for seed in range(10_000, 11_000))

    record_property("figures", dict(codes))
    with capsys.disabled():
        print(f"\n1,000 mutants: {codes[0]} good, {codes[78]} refused")
    assert codes.total() == 1000


def lines_of(problems: list[str]) -> list[int]:
    """Read the lines that problems name; each has one."""
    found = [re.match(r"jobd\.toml:(\d+): ", problem) for problem in problems]
    assert all(found), problems
    return [int(match[1]) for match in found if match]


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_every_key_may_have_any_value(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each key of the whole one, those of tables within too, with each odd value in its place."""
    good = refused = elsewhere = 0
    for line, text in every_replacement(whole(place)):
        try:
            config = load(text, "jobd.toml", secretfile.outside(place / "jobd.toml"))
        except ConfigError as error:
            refused += 1
            # What names another key that is not there any more is on the line of who names it.
            elsewhere += line > 0 and line not in lines_of(error.problems)
        else:
            good += 1
            assert msgspec.json.decode(msgspec.json.encode(config), type=Config) == config, text
    with capsys.disabled():
        print(
            f"\n{good + refused} keys with odd values: {good} good, {refused} refused, {elsewhere} by another line"
        )
    assert elsewhere < 15
    assert good + refused > 5000
    assert good > 100


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_broken_configuration_never_starts_in_part(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`jobd run` itself: 78, all it says names the file, and nothing is left: no process, no file."""
    refused = 0
    seed = 20_000
    while refused < 60:
        seed += 1
        if judged(place, capsys, seed) == 0 or _is_readable(place):
            continue  # it would start, and be refused for its code at most
        before = {path.name for path in place.iterdir()}
        done = subprocess.run(
            [sys.executable, "-m", "jobd", "run"],
            cwd=place, capture_output=True, text=True, check=False, timeout=60,
            stdin=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(place)},
        )  # fmt: skip
        refused += 1
        assert done.returncode == 78, (seed, done.stderr)
        assert "Traceback" not in done.stderr, (seed, done.stderr)
        for line in done.stderr.splitlines():
            assert re.match(r"jobd: (jobd\.toml:\d+|warning)?: ", line), (seed, line)
        assert {path.name for path in place.iterdir()} - {"__pycache__"} == before, seed
        assert not _processes_in(place), seed
    with capsys.disabled():
        print(f"\n{refused} starts refused of {seed - 20_000} mutants; nothing left by any")


def _is_readable(place: Path) -> bool:
    try:
        found = settings.whole(place / "jobd.toml", url=None)
        require_app(found.config, found.places)
    except ConfigError:
        return False
    return True


def _processes_in(place: Path) -> list[str]:
    """List processes that have this as their working directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                if (entry / "cwd").readlink() == place:
                    found.append((entry / "cmdline").read_text())
            except OSError:
                continue
    return found
