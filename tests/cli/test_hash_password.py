"""`jobd hash-password`, in a pipe and on a terminal."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from jobd.cli.main import main
from jobd.core.passwords import hashed_token, matches, read_scrypt, read_token_hash

COMMAND = [sys.executable, "-m", "jobd", "hash-password"]
Piped = Callable[..., tuple[int, str, str]]


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Piped:
    """Run it with this on standard input; give its code and what it wrote."""

    def run(given: bytes, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), "utf-8"))
        code = main(["hash-password", *arguments])
        return code, *capsys.readouterr()

    return run


def test_in_a_pipe_the_first_line_is_hashed(piped: Piped) -> None:
    found = set()
    for given in (b"correct horse\n", b"correct horse", b"correct horse\r\nmore\n"):
        code, out, err = piped(given)
        assert (code, err) == (0, "")
        assert matches("correct horse", read_scrypt(out.strip()))
        found.add(out)
    assert len(found) == 3
    assert matches(
        "correct horse", read_scrypt(json.loads(piped(b"correct horse", "--json")[1])["hash"])
    )


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (b"", "0 characters"),
        (b"short\n", "5 characters"),
        (b"x" * 2000, "2000 char"),
        (b"\xff" * 9, "not UTF-8"),
    ],
)
def test_what_is_no_password_is_refused_without_being_shown(
    piped: Piped, given: bytes, why: str
) -> None:
    code, out, err = piped(given)
    assert (code, out) == (64, "")
    assert why in err
    assert "xxxx" not in err
    assert "short" not in err


def test_a_token_is_drawn_and_hashed(piped: Piped) -> None:
    found = json.loads(piped(b"", "--token", "--json")[1])
    assert found["token"].startswith("jobd_")
    assert len(found["token"]) == 48
    assert read_token_hash(found["hash"]) == hashed_token(found["token"])
    lines = dict(line.split() for line in piped(b"", "--token")[1].splitlines())
    assert lines["hash"] == hashed_token(lines["token"])
    assert lines["token"] != found["token"]


@pytest.mark.parametrize("again", ["correct horse", "another horse"])
def test_on_a_terminal_it_asks_twice_and_shows_nothing(again: str) -> None:
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        COMMAND, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        for word, answer in ((b"Password", "correct horse"), (b"Again", again)):
            while word not in shown:
                shown += os.read(ours, 1000)
            os.write(ours, f"{answer}\n".encode())
        if again != "correct horse":
            while b"do not match" not in shown:
                shown += os.read(ours, 1000)
            child.terminate()
        out, _ = child.communicate(timeout=100)
    finally:
        child.kill()
        child.wait()
        os.close(ours)
    assert b"horse" not in shown
    if again == "correct horse":
        assert child.returncode == 0
        assert matches("correct horse", read_scrypt(out.decode().strip()))
    else:
        assert out == b""
