"""What the README tells to type beside its tour: done in a shell, on a real server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.documents import ROOT, Command, block, commands

from jobd import Jobd

MAKE = list(commands(block("README.md", "make demo ")))
MANY = list(commands(block("README.md", "jobs.ndjson")))
PAUSE = list(commands(block("README.md", "jobd queues pause crm")))


@pytest.fixture
def shell(tmp_path: Path, redis_url: str) -> dict[str, str]:
    """An environment whose PATH has `jobd`."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(tmp_path), "JOBD_REDIS_URL": redis_url}


def done(command: str, folder: Path, environment: dict[str, str], code: int = 0) -> str:
    """Type it; give what is shown. It ends with a code."""
    ended = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert ended.returncode == code, (command, ended.stdout, ended.stderr)
    return ended.stdout


@pytest.mark.parametrize("command", MAKE)
def test_what_make_is_told_to_make_can_be_made(command: Command) -> None:
    """All but the help takes minutes, and this is run by one of them: the others are looked through."""
    line = command.line if command.line == "make help" else f"{command.line} --dry-run"
    assert done(line, ROOT, dict(os.environ))


def test_the_help_of_make_says_what_there_is() -> None:
    said = done("make help", ROOT, dict(os.environ))
    for command in MAKE:
        assert command.line.removeprefix("make ") in said


def test_many_are_added_as_it_says(tmp_path: Path, shell: dict[str, str], redis_url: str) -> None:
    """Looked at, added once whatever is repeated, and with a bad line among them."""
    lines = [{"task": "send-issue", "args": {"issue": 7, "reader": n}} for n in range(3)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "jobs.ndjson").write_text(text)
    bare = "".join(json.dumps({"args": line["args"]}) + "\n" for line in lines)
    (tmp_path / "old.gz").write_bytes(gzip.compress(f"{bare}no object\n".encode()))
    news = Jobd(redis_url).queue("news")
    counts = []
    for command, code in zip(MANY, (0, 0, 65), strict=True):
        done(command.line, tmp_path, shell, code)
        counts.append(len(list(news.find("waiting"))))
    assert counts == [0, 3, 6]


def test_a_queue_is_held_back_and_let_go_as_it_says(
    tmp_path: Path, shell: dict[str, str], redis_url: str
) -> None:
    """The reason is shown; what was paused by itself stays so."""
    Jobd(redis_url).queue("crm").add("sync-contact")
    whole, task, resume, look = PAUSE
    done(whole.line, tmp_path, shell)
    assert "the CRM is moving" in done(look.line, tmp_path, shell)
    done(task.line, tmp_path, shell)
    done(resume.line, tmp_path, shell)
    flow = Jobd(redis_url).queue("crm").flow()
    assert (flow.is_paused, flow.paused_tasks) == (False, ("welcome",))
