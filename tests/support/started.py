"""`jobd run` in a directory of its own, as its user starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView
from support.daemons import end_all, eventually
from support.records import said
from support.servers import PATIENCE

# Stands before the real one in the path, and holds up the import of the command line.
_SLOW_CLICK = """
import os, sys, time
open("importing", "w").close()
while not os.path.exists("imported"):
    time.sleep(0.01)
sys.path.remove(os.path.dirname(__file__))
del sys.modules["click"]
import click
"""


def slow_click(top: Path) -> Path:
    """Make what, in the PYTHONPATH of `jobd run`, writes `importing` and waits for `imported`."""
    folder = top / "slow"
    folder.mkdir()
    (folder / "click.py").write_text(_SLOW_CLICK)
    return folder


class Started:
    """`jobd run`, as its user starts it."""

    def __init__(
        self,
        top: Path,
        url: str,
        app: str,
        *,
        runtime: Path | None = None,
        drain: int = 10,
        within: Sequence[str] = (),
    ) -> None:
        """`within` is a command that this one is an argument of."""
        top.mkdir(exist_ok=True)
        self.top = top
        self.url = url
        self.runtime = runtime or top / "run"
        (top / "shop.py").write_text(app)
        (top / "jobd.toml").write_text(
            f'app = "shop:app"\n[redis]\nurl = "{url}"\n[daemon]\nruntime_dir = "{self.runtime}"\n'
            f'drain_timeout = {drain}\nlog = {{ format = "json", level = "debug" }}\n'
            "[queues.q]\nprocesses = 2\n"
        )
        self.log = top / "log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*within, sys.executable, "-m", "jobd", "run"],
                cwd=top,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def said(self, event: str) -> list[dict[str, Any]]:
        return said(self.log, event)

    def when(self, event: str) -> None:
        eventually(event, lambda: self.said(event))

    def ready(self) -> None:
        self.when("daemon.ready")

    def hears(self, pid: int = 0) -> bool:
        """From the first statement of ours on; before that Python starts, or what starts it."""
        process = Path("/proc", str(pid or self.process.pid))
        if "python" not in os.readlink(process / "exe"):
            return False
        lines = (process / "status").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        taken = int(fields["SigBlk"], 16) | int(fields["SigCgt"], 16)
        return bool(taken >> (signal.SIGTERM - 1) & 1)

    def signal(self, *numbers: int) -> None:
        for number in numbers:
            self.process.send_signal(number)

    def family(self) -> list[int]:
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        return [int(word) for word in Path(path).read_text().split()]

    def helper(self, title: str) -> int:
        [pid] = [p for p in self.family() if title in Path(f"/proc/{p}/cmdline").read_text()]
        return pid

    def pages(self) -> list[PageView]:
        [path] = self.runtime.glob("scoreboard.*")
        return Scoreboard.open(path).views()

    def ended(self, within: float = PATIENCE) -> int:
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not ended within {within} s\n{self.log.read_text()}") from None

    def end(self) -> None:
        end_all(self.process)
