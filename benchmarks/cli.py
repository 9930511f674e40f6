"""The command line of the suite. Exit codes: 0 all ran, 1 a run failed, 2 usage, 69 no redis-server.

Invariant: a bar that is missed is reported and does not fail the command; only a system that does
not do its jobs does. A partial or quick run never overwrites the full report unless told to.
"""

import argparse
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import install, machine, report
from benchmarks.bench import ROOT, Bench
from benchmarks.commits import NoSuchCommit, package_of
from benchmarks.measures.catalogue import AGAINST, ALL, ALONE
from benchmarks.outcome import Outcome
from benchmarks.plan import Plan, quick
from benchmarks.servers import RedisServer
from benchmarks.systems import catalogue
from benchmarks.systems.jobd import JobdSystem

NARROWEST = 110
NO_SERVER = 69
USAGE = 2
FULL_REPORT = ROOT / "benchmarks" / "RESULTS.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen measures, print and write the report; returns the exit code."""
    options = _options(arguments)
    # A plain end would leave servers and workers behind; so would an INT that a shell has switched off.
    for asked in (signal.SIGTERM, signal.SIGINT):
        signal.signal(asked, lambda *_: sys.exit("benchmarks: stopped"))
    console = Console()
    if not console.is_terminal:
        console = Console(width=NARROWEST)

    def say(line: str) -> None:
        console.print(line.replace("**", ""), markup=False, highlight=False)

    if shutil.which("redis-server") is None:
        say("redis-server: not on the PATH; the suite measures on a private one; install Redis")
        return NO_SERVER
    cache = Path(options.cache).resolve()
    plan = _plan(options)
    try:
        before = _before(options.against, cache)
    except NoSuchCommit as error:
        say(f"--against {options.against}: {error}")
        return USAGE
    names = list(AGAINST) if before else options.only or list(ALL)
    measures = {**ALL, **AGAINST}
    peers = install.none() if set(names) <= ALONE else install.prepare(cache, say)
    outcomes: list[Outcome] = []
    (cache / "runs").mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f"{datetime.now(UTC):%m%d-%H%M}-", dir=cache / "runs"))
    with RedisServer(scratch / "redis") as server:
        systems, chosen = catalogue.build(peers), _chosen(options)
        bench = Bench(plan, scratch, server, systems, say, chosen, before)
        for number, name in enumerate(names, 1):
            say(f"--- {name}, {number} of {len(names)}")
            begun = time.monotonic()
            outcomes.append(measures[name](bench))
            report.show(outcomes[-1], console)
            say(f"--- {name} took {time.monotonic() - begun:.0f} s")
    report.show_bars(outcomes, console)
    with suppress(OSError):  # not empty: a failed run left its directory, named in its message
        scratch.rmdir()
    about = report.Circumstances(
        at=datetime.now(UTC),
        machine=machine.describe(),
        redis=machine.redis_version(),
        versions=peers.versions,
        commit=machine.checkout(ROOT),
        runs=plan.runs,
        quick=options.quick,
        command=shlex.join(["python", "-m", "benchmarks", *(arguments or sys.argv[1:])]),
    )
    target = _target(options, cache, names)
    target.write_text(report.markdown(outcomes, about), encoding="utf-8")
    say(f"written to {target}")
    failures = [line for outcome in outcomes for line in outcome.failures]
    if failures:
        say(f"{len(failures)} runs failed: see the end of that file")
    return 1 if failures else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="jobd beside its peers and the bare floor, on one private Redis in one run.",
    )
    parser.add_argument(
        "--quick", action="store_true", help="small sizes and one run: a smoke test"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(ALL),
        metavar="MEASURE",
        help=f"this measure only; may be repeated ({', '.join(ALL)})",
    )
    parser.add_argument(
        "--system",
        action="append",
        choices=catalogue.KEYS,
        metavar="SYSTEM",
        help=f"this system only; may be repeated ({', '.join(catalogue.KEYS)})",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="only this: is the plain path as fast as it was at that commit of this checkout; twenty "
        "times as many pairs of slices as runs, 60 by default",
    )
    parser.add_argument("--runs", type=_positive, help="runs of each system (default 3; quick: 1)")
    parser.add_argument(
        "--jobs",
        type=_positive,
        help="jobs of every drained backlog (default: as many as 2 s take)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="the Markdown file (default, when all measures "
        "run at full size: benchmarks/RESULTS.md; otherwise in the cache)",
    )
    parser.add_argument(
        "--cache", default=ROOT / ".bench", help="where peers are installed (default: .bench)"
    )
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}; expected a whole number of at least 1")
    return number


def _plan(options: argparse.Namespace) -> Plan:
    plan = quick() if options.quick else Plan()
    if options.runs is not None:
        plan = replace(plan, runs=options.runs)
    return replace(plan, drain_jobs=options.jobs)


def _before(commit: str | None, cache: Path) -> JobdSystem | None:
    if commit is None:
        return None
    short, package = package_of(commit, cache)
    return JobdSystem("jobd-before", f"jobd at {short}", package=package)


def _chosen(options: argparse.Namespace) -> frozenset[str] | None:
    return None if options.system is None else frozenset(options.system)


def _target(options: argparse.Namespace, cache: Path, names: Sequence[str]) -> Path:
    if options.output is not None:
        return Path(options.output)
    whole = set(names) == set(ALL) and options.system is None
    full_size = not options.quick and options.jobs is None and options.runs in (None, 3)
    return FULL_REPORT if whole and full_size else cache / "RESULTS.md"
