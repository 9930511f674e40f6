"""File, environment and flag; the runtime directory and what is written there."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from jobd.cli import runtime, settings
from jobd.core.config import Config, DaemonConfig
from jobd.core.errors import ConfigError


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said by the environment."""
    for name in ("JOBD_REDIS_URL", "RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_a_flag_goes_before_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of the file stays."""
    file = tmp_path / "jobd.toml"
    file.write_text('[redis]\nurl = "redis://file/0"\nnamespace = "mine"\n')

    assert settings.find_file(None) == Path("jobd.toml")
    assert settings.read(file, url=None).redis.url == "redis://file/0"
    monkeypatch.setenv("JOBD_REDIS_URL", "redis://environment/0")
    assert settings.read(file, url=None).redis.url == "redis://environment/0"
    flagged = settings.read(file, url="redis://flag/0")
    assert (flagged.redis.url, flagged.redis.namespace) == ("redis://flag/0", "mine")


def test_a_bad_url_names_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one knows where to correct it."""
    monkeypatch.setenv("JOBD_REDIS_URL", "localhost")
    with pytest.raises(ConfigError, match=r"JOBD_REDIS_URL: no scheme; expected redis://"):
        settings.read(None, url=None)


def test_where_the_runtime_directory_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flag, file, systemd, the user's own."""
    config = Config(daemon=DaemonConfig(runtime_dir="/file"))

    assert runtime.locate(Config(), None).name == f"jobd-{os.getuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    assert runtime.locate(Config(), None) == Path("/run/user/7/jobd")
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/jobd:/run/other")
    assert runtime.locate(Config(), None) == Path("/run/jobd")
    assert runtime.locate(config, None) == Path("/file")
    assert runtime.locate(config, "/flag") == Path("/flag")


def test_a_runtime_directory_is_made_private(tmp_path: Path) -> None:
    """And what lies in it, too: a URL may hold a password."""
    directory = tmp_path / "a" / "run"
    config = runtime.effective(Config(), directory)

    runtime.prepare(directory)
    written = directory / runtime.EFFECTIVE
    runtime.write_effective(config, written)

    assert directory.stat().st_mode & 0o777 == 0o700
    assert written.stat().st_mode & 0o777 == 0o600
    assert msgspec.json.decode(written.read_bytes(), type=Config) == config
    assert config.daemon.runtime_dir == str(directory)


def test_a_directory_others_may_write_is_refused(tmp_path: Path) -> None:
    """Nor is a file a directory."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ConfigError, match="no other user may write"):
        runtime.prepare(shared)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"daemon\.runtime_dir"):
        runtime.prepare(tmp_path / "file")
