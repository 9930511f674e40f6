"""The command line as a whole: help is fast, failures are paragraphs with a code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jobd.broker.connection import connect
from jobd.cli.main import main

_LOOKS_HERE = ("status", "doctor")  # at the host's daemon, and there may be one


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No jobd.toml here, and no Redis named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JOBD_REDIS_URL", raising=False)


def test_help_lists_every_command_and_loads_none() -> None:
    """It needs neither Redis nor rich, nor any command's module."""
    program = (
        "import sys; from jobd.cli.main import main; code = main(['--help']); "
        "heavy = ('redis', 'rich', 'msgspec', 'jobd.broker', 'jobd.client', 'jobd.cli.run'); "
        "print([m for m in heavy if m in sys.modules]); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    for name in [
        "run",
        "dev",
        "demo",
        "init",
        "check",
        "enqueue",
        "status",
        "queues",
        "jobs",
        "why",
    ]:
        assert f"\n  {name} " in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", [
    ["run"], ["dev"], ["demo"], ["init"], ["check"], ["enqueue"], ["status"], ["queues", "list"],
    ["jobs", "list"], ["jobs", "show"], ["queues"], ["jobs"],
    ["why"], ["queues", "drain"], ["queues", "purge"], ["completion"],
    ["top"], ["doctor"], ["reload"], ["stop"], ["scale"], ["recycle"], ["dump"],
])  # fmt: skip
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Each module of the table can be imported and says what it does."""
    assert main([*command, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: jobd {' '.join(command)}")


@pytest.mark.parametrize("arguments", [
    ["statsu"], ["queues", "lst"], ["status", "--jsn"], ["enqueue", "q"], ["jobs", "list", "--limit", "0"],
    ["jobs", "list", "--state", "wating"], ["jobs", "list", "--cause", "faild"], ["enqueue", "q", "t", "--arg", "x"], ["dev", "app"],
    ["enqueue", "q", "t", "--json-args", "[1]"], ["enqueue", "q", "t", "--json-args", "{"],
    ["enqueue", "q", "t", "--json-args", "{}", "--arg", "a=1"], ["enqueue", "a b", "t"],
    ["enqueue", "q", "t", "--arg", "a=1", "--arg", "a=2"], ["enqueue", "q", "t", "--delay", "soon"],
    ["enqueue", "q", "t", "--arg", "x=\udcff"], ["enqueue", "q", "t", "--json-args", "\udcff"],
    ["jobs", "show", "a\udcff"], ["jobs", "show", "a", "--queue", "a b"],
    ["why"], ["why", "a b"], ["whi", "a"], ["queues", "purge"], ["completion", "csh"],
    ["scale", "q"], ["scale", "q", "many"], ["recycle"], ["stop", "--timeout", "soon"], ["top", "--json"],
])  # fmt: skip
def test_wrong_usage_is_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Said on stderr, with nothing on stdout."""
    assert main(arguments) == 64
    said = capsys.readouterr()
    assert said.err
    assert not said.out
    assert "Traceback" not in said.err


def test_the_nearest_command_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """As with keys and options."""
    main(["statsu"])
    assert "did you mean 'status'?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    ["queues", "list"], ["jobs", "list"], ["jobs", "show", "x"], ["enqueue", "q", "t"], ["status"],
    ["why", "x"], ["queues", "drain", "q"], ["queues", "purge", "q", "--yes"], ["queues", "pause", "q"],
    ["queues", "resume", "q"], ["jobs", "retry", "x"], ["jobs", "cancel", "--queue", "q"],
    ["schedules", "list"], ["schedules", "run", "s"], ["alerts", "list"], ["alerts", "history"], ["doctor"],
])  # fmt: skip
def test_no_redis_is_69(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One paragraph that says what to do."""
    nobody = f"unix://{tmp_path}/nobody.sock"
    own = ["--runtime-dir", str(tmp_path / "run")] if arguments[0] in _LOOKS_HERE else []
    assert main([*arguments, *own, "--redis-url", nobody]) == 69
    said = capsys.readouterr()
    assert "cannot be reached" in said.err + said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [
    ["queues"], ["jobs", "retry", "x"], ["enqueue", "q", "t"], ["status"], ["why", "x"], ["schedules"],
    ["alerts"], ["doctor"],
])  # fmt: skip
def test_what_our_user_may_not_is_77(
    arguments: list[str], redis_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is missing is named."""
    admin = connect(redis_url)
    admin.acl_setuser("poor", enabled=True, passwords=["+pw"], commands=["+ping"], reset=True)
    (tmp_path / "jobd.toml").write_text(
        f'[redis]\nurl = "{redis_url.replace("://", "://poor:pw@")}"\n'
    )
    own = ["--runtime-dir", str(tmp_path / "run")] if arguments[0] in _LOOKS_HERE else []
    try:
        assert main([*arguments, *own]) == 77
    finally:
        admin.acl_deluser("poor")
    said = capsys.readouterr()
    assert "no permissions to run" in said.err + said.out


def test_a_mistake_of_ours_is_70_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever sees it can report it; a script can tell it from what is its own to mend."""
    monkeypatch.setitem(sys.modules, "jobd.cli.status", None)  # it cannot be imported
    assert main(["status"]) == 70
    said = capsys.readouterr().err
    assert "ModuleNotFoundError" in said
    assert said.endswith("a mistake of jobd; please report it\n")


@pytest.mark.parametrize("arguments", [
    ["run", "-c", "none.toml"], ["run"], ["queues", "list", "-c", "none.toml"],
    ["check", "-c", "none.toml"], ["queues", "list", "--redis-url", "localhost"],
    ["run", "-c", "bad.toml"], ["status", "-c", "bad.toml"], ["run", "-c", "noapp.toml"],
    ["run", "-c", "noapp.toml", "--app", "x"], ["run", "-c", "."],
])  # fmt: skip
def test_a_bad_configuration_is_78(
    arguments: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whichever command reads it, where no daemon has run with a good one."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "bad.toml").write_text("[daemon]\nleese = '3s'\nlease = 'x'\n")
    (tmp_path / "noapp.toml").write_text("")
    assert main(arguments) == 78
    said = capsys.readouterr()
    assert "expected" in said.err + said.out
    assert "Traceback" not in said.err


@pytest.mark.parametrize("verb", [
    ["reload"], ["stop"], ["scale", "q", "-1"], ["recycle", "q.1"], ["dump"],
])  # fmt: skip
def test_orders_to_nobody_are_69_and_by_a_broken_file_78(
    verb: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a daemon there is nobody to ask; a broken file may have named another place."""
    assert main([*verb, "--runtime-dir", str(tmp_path)]) == 69
    assert "jobd run" in capsys.readouterr().err
    (tmp_path / "bad.toml").write_text("[daemon]\nleese = '3s'\n")
    assert main([*verb, "-c", str(tmp_path / "bad.toml"), "--runtime-dir", str(tmp_path)]) == 78


def test_the_doctor_names_what_is_wrong_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked when things are broken: it looks at all it can, and ends with the code of the first cause."""
    (tmp_path / "bad.toml").write_text("[daemon]\nleese = '3s'\n")
    own = ["--runtime-dir", str(tmp_path), "--redis-url", f"unix://{tmp_path}/nobody.sock"]
    assert main(["doctor", "-c", str(tmp_path / "bad.toml"), *own]) == 78
    assert "daemon.leese" in capsys.readouterr().out
    (tmp_path / "odd.toml").write_text("[queues.q]\nweight = 2\n")
    assert main(["doctor", "-c", str(tmp_path / "odd.toml"), *own]) == 69
    said = capsys.readouterr().out
    assert "odd.toml:2: queues.q.weight: 2; means nothing" in said
    assert "cannot be reached" in said


def test_python_m_jobd_is_the_same_command(tmp_path: Path) -> None:
    """Codes reach the shell."""
    done = subprocess.run(
        [sys.executable, "-m", "jobd", "run", "-c", "none.toml"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip

    assert done.returncode == 78
    assert done.stderr.startswith("jobd: none.toml: no such file; expected")


def test_the_demo_says_where_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a checkout or in the wheel, and nowhere else."""
    monkeypatch.setattr("jobd.__file__", str(tmp_path / "site-packages" / "jobd" / "__init__.py"))
    assert main(["demo"]) == 78
    assert "make demo" in capsys.readouterr().err


def test_the_demo_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The extra `demo` is not part of a plain installation."""
    monkeypatch.setattr("jobd.cli.demo.find_spec", lambda name: None)
    assert main(["demo"]) == 78
    assert "pip install 'jobd[demo]'" in capsys.readouterr().err


def test_output_that_finds_no_room_is_told_in_a_sentence() -> None:
    """With the code of an input/output error, and no traceback."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "jobd", "--help"],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert done.returncode == 74
    assert done.stderr.startswith("jobd: standard output: No space left on device; expected")


def test_closed_streams_are_nowhere_to_write_and_nothing_more() -> None:
    """`jobd --help >&- 2>&- <&-` works, and opens no other file under those numbers,
    here or in a process that is started from here."""
    program = (
        "import os, sys; from jobd.cli.main import main; code = main(['--help']); "
        "null = os.stat('/dev/null'); "
        "same = all(os.path.samestat(os.fstat(n), null) and os.get_inheritable(n) for n in (0, 1, 2)); "
        "os._exit(code if same else 99)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, program], check=False
    )

    assert done.returncode == 0
