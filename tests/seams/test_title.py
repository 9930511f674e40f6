"""A process' title, as `ps` and `top` read it."""

from __future__ import annotations

import os
import subprocess
import sys

LOOK = """
import os, sys
from jobd.seams.title import set_title
def look():
    for name in ("cmdline", "comm"):
        print(open(f"/proc/self/{name}").read().rstrip(chr(0) + chr(10)), flush=True)
"""


def shown(code: str) -> list[str]:
    run = subprocess.run(
        [sys.executable, "-c", LOOK + code, "argument"],
        capture_output=True, text=True, check=True, env={**os.environ, "AFTER": "intact"},
    )  # fmt: skip
    return run.stdout.splitlines()


def test_ps_and_top_show_the_title_that_was_set_last() -> None:
    """Nothing of a longer one before it, nor of the arguments, shows behind it."""
    code = "set_title('jobd: a long title that is replaced'); set_title('jobd: keeper'); look()"

    assert shown(code) == ["jobd: keeper", "jobd: keeper"]


def test_a_forked_child_has_a_title_of_its_own() -> None:
    """A worker is born of the preloader and named for its slot."""
    code = """
set_title("jobd: preloader")
if os.fork() == 0:
    set_title("jobd: worker q.1")
    look()
    os._exit(0)
os.wait()
look()
"""
    assert shown(code) == [
        "jobd: worker q.1",
        "jobd: worker q.",
        "jobd: preloader",
        "jobd: preloader",
    ]


def test_a_title_longer_than_the_arguments_is_cut_and_spares_the_environment() -> None:
    """What lies behind the arguments in memory is the environment."""
    code = (
        "set_title('j' * 20_000); look(); print(*open('/proc/self/environ').read().split(chr(0)))"
    )
    cmdline, comm, environment = shown(code)

    assert set(cmdline) == {"j"}
    assert len(LOOK) < len(cmdline) < 20_000
    assert comm == "j" * 15
    assert "AFTER=intact" in environment.split()


def test_the_arguments_a_program_reads_stay_what_they_were() -> None:
    """Python has its own copy of them; only what others see changes."""
    assert shown("set_title('t'); print(sys.argv[1], sys.orig_argv[-1])") == ["argument argument"]
