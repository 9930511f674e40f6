"""As the first process of a container: it hears, it collects everybody, and all ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.daemons import eventually, gone
from support.leavings import SOURCE, all_gone, left
from support.started import Started, slow_click

from jobd import Jobd

UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def _lacking() -> str | None:
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        return "no unshare and nsenter"
    tried = subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() or None


LACKING = _lacking()
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(LACKING is not None, reason=f"no namespace of processes: {LACKING}"),
]


class Container(Started):
    """A namespace of processes whose first one is `jobd run`."""

    def first(self) -> int:
        """Its pid, seen from outside."""

        def look() -> int:
            path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
            [*found] = [int(word) for word in path.read_text().split()]
            return found[0] if found else 0

        return eventually("the first process", look)

    def execute(self, *words: str) -> str:
        """Do something in there, as `docker exec` does."""
        enter = ["nsenter", "-t", str(self.first()), "-p", "-m"]
        done = subprocess.run([*enter, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def processes(self) -> dict[str, str]:
        """Command and state of each process in there."""
        lines = self.execute("ps", "-eo", "stat=,args=").splitlines()
        return {words: state for state, words in (line.split(None, 1) for line in lines)}


@pytest.fixture
def start(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Container]]:
    made: list[Container] = []

    def one(*within: str) -> Container:
        top = tmp_path / str(len(made))
        made.append(Container(top, redis_url, SOURCE, within=(*UNSHARE, *within)))
        return made[-1]

    yield one
    for each in made:
        each.end()  # unshare ends what is in there


def test_it_collects_strangers_and_ends_only_its_own(
    start: Callable[[], Container], redis_url: str
) -> None:
    """A stranger's orphan lives on, dead ones are no zombies, and what a task has left is ended."""
    run = start()
    run.ready()
    # Two orphans of somebody who was let in: one that lasts, one that ends.
    run.execute("sh", "-c", "exec >/dev/null 2>&1; setsid sleep 601 & setsid sleep 0.1 & exit 0")
    job = Jobd(redis_url).queue("q").add("leave", {"path": str(run.top / "pids"), "how": "crash"})
    left(run.top / "pids")

    def settled() -> bool:
        found = run.processes()
        left_behind = [words for words in found if "600" in words or "innocent" in words]
        zombies = [words for words, state in found.items() if state.startswith("Z")]
        return not left_behind and not zombies and bool(run.said("worker.died"))

    eventually("only its own and the stranger", settled)
    assert "sleep 601" in run.processes()

    everybody = _everybody_in(run.first())
    os.kill(run.first(), signal.SIGTERM)
    eventually("the daemon drains", lambda: run.said("daemon.draining"))
    os.kill(run.first(), signal.SIGTERM)
    assert run.ended() == 0, "the exit code is that of the daemon"
    assert all(gone(pid) for pid in everybody)
    assert job.state() in ("waiting", "delayed", "dead")


def test_a_stop_that_comes_before_it_listens_is_heard(
    start: Callable[..., Container], tmp_path: Path
) -> None:
    """The kernel drops what the first process of a namespace has no handler for: it has one before it
    imports what the command line is made of."""
    run = start("env", f"PYTHONPATH={slow_click(tmp_path)}")
    eventually("the import has begun", (run.top / "importing").exists)
    first = run.first()
    words = Path(f"/proc/{first}/cmdline").read_bytes().split(b"\0")
    assert words[-2] == b"run", "the command has not become the daemon"
    os.kill(first, signal.SIGTERM)
    (run.top / "imported").touch()
    assert run.ended() == 0
    all_gone([first])


def _everybody_in(first: int) -> list[int]:
    """All processes of the namespace, seen from outside."""
    space = os.readlink(f"/proc/{first}/ns/pid")
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink(f"/proc/{name}/ns/pid") == space:
                    found.append(int(name))
            except OSError:
                continue
    return found
