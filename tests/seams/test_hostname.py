"""The host's name fits into keys, lines and logs, whatever the kernel keeps."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from jobd.core.ran import read_ran, spell
from jobd.seams.hostname import cleaned

UNSHARE = ("unshare", "--uts")
# What a daemon, a keeper and a worker do with it first, on a host of that name.
PROGRAM = """
import socket
from pathlib import Path
from jobd.core.ran import read_ran, spell
from jobd.seams.hostname import host_name
from jobd.seams.place import key_of

socket.sethostname(b"web \\xff1")
print(host_name(), key_of(Path("/run/jobd")).rpartition("-")[0], read_ran(spell(1, 2, "q.1", host_name())).host)
"""


def _lacking() -> str | None:
    if shutil.which("unshare") is None:
        return "no unshare"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() or None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("web-1.example", "web-1.example"),
        ("büro", "büro"),
        ("web \udcff1", "web__1"),
        ("a\tb\nc\x1b[2J\u2028", "a_b_c_[2J_"),
        ("", ""),
    ],
)
def test_what_has_no_place_in_a_name_is_replaced(name: str, shown: str) -> None:
    """Spaces, what cannot be printed, and bytes that are no UTF-8; nothing else."""
    assert cleaned(name) == shown
    ran = read_ran(spell(0.5, 7, "q.1", cleaned(name)))
    assert ran is not None
    assert ran.host == shown


@pytest.mark.skipif(_lacking() is not None, reason="no namespace of host names")
def test_a_host_of_any_name_is_named() -> None:
    """By everybody in the same way."""
    done = subprocess.run(
        [*UNSHARE, sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("web__1 web__1 web__1\n", "")
