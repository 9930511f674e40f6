"""`jobd completion`: what a shell gets, and what a real bash makes of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from jobd.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It names the command and how to ask it."""
    assert main(["completion", shell]) == 0
    assert f"_JOBD_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert main(["completion", "csh"]) == 64
    assert "expected one of bash, zsh, fish" in capsys.readouterr().err


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
@pytest.mark.parametrize(
    ("line", "completed"),
    [
        ("jobd que", ["queues"]),
        ("jobd queues pu", ["purge"]),
        ("jobd queues ", ["list", "pause", "resume", "drain", "purge"]),
        ("jobd queues --js", ["--json"]),
        ("jobd jobs list --sta", ["--state"]),
        ("jobd jobs list --state de", ["delayed", "dead"]),
        ("jobd completion f", ["fish"]),
        ("jobd nothing --h", ["--help"]),
    ],
)
def test_bash_completes(line: str, completed: list[str], tmp_path: Path) -> None:
    """The script is read by a bash, whose completion function is then asked."""
    words = line.split(" ")
    ask = f"""
        PATH={Path(sys.executable).parent}:$PATH
        eval "$(jobd completion bash)"
        COMP_WORDS=({" ".join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1}
        _jobd_completion jobd && printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", ask], cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == completed, done.stderr
    assert done.stderr == ""
