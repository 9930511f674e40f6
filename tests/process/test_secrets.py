"""A daemon whose secrets are not in its configuration: from the environment, a credential, a file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

pytestmark = pytest.mark.process


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
    place: Place, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands in another shell have neither its credentials nor its variables."""
    place.start("run")
    place.ready()
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    monkeypatch.delenv("HOOK")

    added = place.ask("enqueue", "q", "double", "--arg", "n=2")
    assert eventually(lambda: place.ask("jobs", "show", added["id"])["state"] == "completed")
    assert place.jobd("status").returncode == 0
    assert "s3cret" not in place.log.read_text()

    # A reload reads the credential anew, and a wrong one changes nothing.
    credential = place.directory / "credentials" / "redis"
    credential.write_text("http://s3cret")
    refused = place.jobd("reload")
    assert refused.returncode == 78
    assert "jobd.toml:3: redis.url_file: another scheme; expected redis://host" in refused.stderr
    assert "s3cret" not in refused.stderr + place.log.read_text()
    credential.write_text(redis_url)
    credential.chmod(0o644)
    assert place.jobd("reload").returncode == 0
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
