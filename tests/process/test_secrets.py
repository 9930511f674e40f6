"""A daemon whose secrets are not in its configuration: from the environment, a credential, a file."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place, commands
from support.servers import eventually

pytestmark = pytest.mark.process


def command_lines(start: int) -> list[bytes]:
    """Give those of a process and of all that it has started."""
    top = Path("/proc", str(start))
    try:
        own = (top / "cmdline").read_bytes()
        children = (top / "task" / str(start) / "children").read_text().split()
    except OSError:  # it has just ended
        return []
    return [own, *(line for child in children for line in command_lines(int(child)))]


@pytest.fixture
def place(tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path, redis_url)
    file = tmp_path / "jobd.toml"
    text = file.read_text().replace(f'url = "{redis_url}"', 'url_file = "redis"')
    file.write_text(
        f'{text}[[alerts.sinks]]\nkind = "slack"\nurl = "https://hooks.example/${{HOOK}}"\n'
    )
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "redis").write_text(f"{redis_url}\n")
    (credentials / "redis").chmod(0o600)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    monkeypatch.setenv("HOOK", "s3cret")
    yield place
    place.end()


def test_a_daemon_runs_by_what_it_is_given_and_others_by_what_it_wrote_down(
    place: Place,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Commands in another shell have neither its credentials nor its variables."""
    place.start("run")
    place.ready()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    monkeypatch.delenv("HOOK")
    run = commands(place, monkeypatch, capsys)

    added = json.loads(run("enqueue", "q", "double", "--arg", "n=2", "--json").out)["id"]
    shown = ("jobs", "show", added, "--json")
    assert eventually(lambda: json.loads(run(*shown).out)["state"] == "completed")
    assert run("status").code == 0
    assert "s3cret" not in place.log.read_text()

    # A reload reads the credential anew, and a wrong one changes nothing.
    credential = place.directory / "credentials" / "redis"
    credential.write_text("http://s3cret")
    refused = run("reload")
    assert refused.code == 78
    assert "jobd.toml:3: redis.url_file: another scheme; expected redis://host" in refused.err
    assert "s3cret" not in refused.err + place.log.read_text()
    credential.write_text(redis_url)
    credential.chmod(0o644)
    assert run("reload").code == 0
    assert f"{credential} may be read by all users" in place.log.read_text()


def test_without_them_it_does_not_start(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is missing is named at once, and nothing is left behind."""
    monkeypatch.delenv("HOOK")
    (place.directory / "credentials" / "redis").unlink()
    before = sorted(os.listdir(place.directory))

    done = place.jobd("run")

    assert done.returncode == 78
    file, variable = done.stderr.splitlines()
    assert file.startswith("jobd: jobd.toml:3: redis.url_file: 'redis': ")
    assert "No such file or directory" in file
    assert variable.startswith("jobd: jobd.toml:11: alerts.sinks[0].url: ${HOOK} is not set")
    assert sorted(os.listdir(place.directory)) == before


def test_a_password_of_a_flag_is_on_no_command_line_after_the_start(
    tmp_path: Path,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor on that of a reload's reader, which is given the same flags."""
    place = Place(tmp_path, "redis://127.0.0.1:1/0")
    file = tmp_path / "jobd.toml"
    text = file.read_text()
    secret = redis_url.replace("://", "://default:s3cret@")
    try:
        daemon = place.start("run", "--redis-url", secret)
        place.ready()
        assert not [line for line in command_lines(daemon.pid) if b"s3cret" in line]

        # The reader waits for whoever writes the file.
        file.unlink()
        os.mkfifo(file)
        daemon.send_signal(signal.SIGHUP)
        assert eventually(
            lambda: any(b"jobd.cli.effective" in line for line in command_lines(daemon.pid))
        )
        assert not [line for line in command_lines(daemon.pid) if b"s3cret" in line]
        with file.open("w") as opened:
            opened.write(text)
        assert eventually(lambda: place.events("reload.done"))
        run = commands(place, monkeypatch, capsys)
        there = ("--redis-url", secret, "--json")
        added = json.loads(run("enqueue", "q", "double", "--arg", "n=2", *there).out)["id"]
        shown = ("jobs", "show", added, *there)
        assert eventually(lambda: json.loads(run(*shown).out)["state"] == "completed")
    finally:
        place.end()
    assert "s3cret" not in place.log.read_text()
