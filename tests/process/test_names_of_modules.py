"""The application's directory has files of common names: jobd's own processes do not take them for theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.commands import Place
from support.servers import eventually

from jobd import Jobd

pytestmark = pytest.mark.process

NAMES = (
    "email",
    "queue",
    "redis",
    "select",
    "signal",
    "socket",
    "types",
    "logging",
    "uvicorn",
    "httpx",
)
APP = """
from jobd import Jobd
app = Jobd()
q = app.queue("q")

@q.task()
def name() -> str:
    import colours
    return colours.FIRST
"""
MORE = """
[[alerts.rules]]
kind = "backlog"
above = 1
"""


def test_a_daemon_does_not_import_what_lies_beside_the_application(
    tmp_path: Path, redis_url: str
) -> None:
    """As the installed command starts it; the application's own modules are found all the same."""
    place = Place(tmp_path, redis_url, app=APP, more=MORE)
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError({name!r})\n")
    (tmp_path / "colours.py").write_text("FIRST = 'red'\n")
    script = Path(sys.executable).parent / "jobd"
    with place.log.open("ab") as log:
        daemon = subprocess.Popen(
            [script, "run"], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )  # fmt: skip
    try:
        assert Jobd(redis_url).queue("q").add("name").result("60s") == "red"
        eventually(lambda: place.events("daemon.ready"))
        assert not place.events("helper.ended")
    finally:
        daemon.terminate()
        assert daemon.wait(60) == 0
