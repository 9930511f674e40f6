"""File, environment and flag; the runtime directory and what is written there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from jobd.cli import in_force, runtime, settings
from jobd.cli.exposed import exposed
from jobd.core.config import Config, DaemonConfig, RedisConfig
from jobd.core.errors import ConfigError, NotHere
from jobd.core.passwords import hashed, written
from jobd.seams import configfile


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
    monkeypatch.setenv("JOBD_REDIS_URL", "redis://h/s3cret")
    with pytest.raises(ConfigError, match=r"JOBD_REDIS_URL: the database; expected a number"):
        settings.read(None, url=None)
    with pytest.raises(ConfigError, match=r"--redis-url: database 'main'; expected a number"):
        settings.read(None, url="redis://h/main")


def test_what_is_no_text_is_told_with_its_line(tmp_path: Path) -> None:
    """A byte of another encoding, a file without end; a mark of UTF-8 and other line ends are fine."""
    file = tmp_path / "jobd.toml"
    file.write_bytes(b"[redis]\n\nnamespace = 'caf\xe9'\n")
    with pytest.raises(ConfigError, match=r"jobd.toml:3: not UTF-8: byte 0xe9; expected"):
        settings.read(file, url=None)
    with pytest.raises(ConfigError, match=r"/dev/zero: more than 1048576 bytes; expected"):
        settings.read(Path("/dev/zero"), url=None)
    with pytest.raises(ConfigError, match=r"Is a directory"):
        settings.read(tmp_path, url=None)
    file.write_bytes(b"\xef\xbb\xbf[redis]\r\nnamespace = 'cafe'\r\n")
    assert settings.read(file, url=None).redis.namespace == "cafe"


def test_a_pipe_is_waited_for_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `-c <(...)` gives one; where nobody writes, that is what is told."""
    monkeypatch.setattr(configfile, "PATIENCE", 0.05)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    file = tmp_path / "jobd.toml"
    os.mkfifo(file)
    with pytest.raises(
        ConfigError, match=r"jobd.toml: a pipe, and nobody has written to it within"
    ):
        settings.read(file, url=None)
    with pytest.raises(ConfigError, match=r"a pipe, and nobody"):
        in_force.find(str(file), url=None, runtime_dir=None)

    monkeypatch.setattr(configfile, "PATIENCE", 20.0)
    writer = subprocess.Popen(["sh", "-c", f"echo 'redis.namespace = \"n\"' > {file}"])
    assert settings.read(file, url=None).redis.namespace == "n"
    assert writer.wait() == 0


def test_who_only_looks_needs_no_secret_of_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink's is left out; where Redis is, a running daemon has written down."""
    file = tmp_path / "jobd.toml"
    text = f'[daemon]\nruntime_dir = "{tmp_path}/run"\n'
    text += '[[alerts.sinks]]\nkind = "webhook"\nurl = "https://a/b"\nsecret = "${SECRET}"\n'
    file.write_text(text)
    with pytest.raises(
        NotHere, match=r"jobd.toml:6: alerts.sinks\[0\].secret: \$\{SECRET\} is not"
    ):
        settings.whole(file, url=None)
    assert settings.read(file, url=None).alerts.sinks == []

    file.write_text(text + '[redis]\nurl_file = "redis"\n')
    with pytest.raises(NotHere, match=r"jobd.toml:8: redis.url_file: 'redis': .*: No such file"):
        settings.read(file, url=None)
    assert settings.read(file, url="redis://flag/0").redis.url == "redis://flag/0"
    runtime.prepare(tmp_path / "run")
    daemons = Config(redis=RedisConfig(url="redis://daemon/0"))
    runtime.write_effective(daemons, tmp_path / "run" / runtime.EFFECTIVE)
    assert settings.read(file, url=None) == daemons
    others = msgspec.structs.replace(daemons, app="another:app")
    runtime.write_effective(others, tmp_path / "run" / runtime.EFFECTIVE)
    with pytest.raises(NotHere):
        settings.read(file, url=None)
    runtime.write_effective(daemons, tmp_path / "run" / runtime.EFFECTIVE)
    found = in_force.find(str(file), url=None, runtime_dir=None)
    assert (found.config, found.problems) == (daemons, [])

    monkeypatch.setenv("SECRET", "s3cret")
    (tmp_path / "redis").write_text("redis://file/0\n")
    config = settings.read(file, url=None)
    assert (config.redis.url, config.alerts.sinks[0].secret) == ("redis://file/0", "s3cret")


def test_a_broken_file_may_name_its_directory_by_a_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the daemon runs with is found all the same; nonsense is no directory."""
    monkeypatch.setenv("TOP", str(tmp_path))
    file = tmp_path / "jobd.toml"
    runtime.write_effective(Config(), tmp_path / runtime.EFFECTIVE)

    file.write_text('[daemon]\nruntime_dir = "${TOP}"\nlease = "x"\n')
    found = in_force.find(str(file), url=None, runtime_dir=None)
    assert (found.directory, len(found.problems)) == (tmp_path, 1)
    for named in ("a\\u0000b", "${NOPE}"):
        file.write_text(f'[daemon]\nruntime_dir = "{named}"\nlease = "x"\n')
        assert in_force.directory_of(file, None) == runtime.locate(Config(), None)


def test_secrets_that_others_may_read_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In plain text in the file, or in a file of their own; never shown."""
    monkeypatch.setenv("SECRET", "s3cret")
    (tmp_path / "held").write_text("s3cret")
    (tmp_path / "held").chmod(0o644)
    file = tmp_path / "jobd.toml"
    file.write_text(
        """
        [redis]
        url = "redis://:s3cret@r/0"
        [[alerts.sinks]]
        kind = "webhook"
        url = "https://a/b"
        secret = "s3cret"
        [[alerts.sinks]]
        kind = "slack"
        url = "https://hooks.example/s3cret"
        [[alerts.sinks]]
        name = "better"
        kind = "webhook"
        url = "https://a/${SECRET}"
        secret = "${SECRET}"
        [[alerts.sinks]]
        name = "best"
        kind = "webhook"
        url = "https://a/b"
        secret_file = "held"
        """
    )
    file.chmod(0o644)
    said = exposed(settings.whole(file, url=None))

    assert "s3cret" not in "".join(said)
    start = f"{file}:"
    assert [each.removeprefix(start).partition(": a secret in plain")[0] for each in said[:3]] == [
        "3: redis.url", "7: alerts.sinks[0].secret", "10: alerts.sinks[1].url",
    ]  # fmt: skip
    assert (
        f"{file}:20: alerts.sinks[3].secret_file: {tmp_path}/held may be read by all users"
        in (said[3])
    )
    assert len(said) == 4
    file.chmod(0o600)
    (tmp_path / "held").chmod(0o600)
    assert exposed(settings.whole(file, url=None)) == []


def test_an_address_that_looks_like_a_secret_is_a_warning_too(tmp_path: Path) -> None:
    """Of many receivers the address is all it takes to write there; a plain one is none."""
    token = "9f86d081884c7d659a2feaa0c55ad015"
    file = tmp_path / "jobd.toml"
    file.write_text(
        f"""
        [[alerts.sinks]]
        kind = "webhook"
        url = "https://hooks.example/in/{token}"
        [[alerts.sinks]]
        name = "other"
        kind = "webhook"
        url = "https://hooks.example/teams/platform"
        [alerts.heartbeat]
        url = "https://watch.example/ping/{token}"
        """
    )
    file.chmod(0o644)
    said = exposed(settings.whole(file, url=None))

    assert token not in "".join(said)
    what = "an address that may be a secret in plain text, in a file that all users may read"
    assert [each.partition("; ")[0] for each in said] == [
        f"{file}:4: alerts.sinks[0].url: {what}",
        f"{file}:10: alerts.heartbeat.url: {what}",
    ]


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


def test_hashed_passwords_that_others_may_read_are_a_warning(tmp_path: Path) -> None:
    """Who has one can guess at leisure; the hash of a token cannot be guessed."""
    hash_, token = written(hashed("hunter2", b"saltsalt")), f"sha256:{'0' * 64}"
    (tmp_path / "eva").write_text(hash_)
    (tmp_path / "eva").chmod(0o644)
    file = tmp_path / "jobd.toml"
    file.write_text(
        f'[web.dashboard]\nusers.ops = "{hash_}"\nusers.tom = {{ password = "{hash_}" }}\n'
        f'users.eva = {{ password_file = "eva" }}\ntokens.ci = "{token}"\n'
    )
    file.chmod(0o644)
    said = exposed(settings.whole(file, url=None))

    assert hash_ not in "".join(said)
    assert [each.removeprefix(f"{file}:").partition(": ")[2].partition(": ")[0] for each in said] == [
        "web.dashboard.users.ops", "web.dashboard.users.tom.password",
        "web.dashboard.users.eva.password_file",
    ]  # fmt: skip
    assert [each.removeprefix(f"{file}:")[0] for each in said] == ["2", "3", "4"]
