"""The account: what was added, how it ended, what broke and how fast it was back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from examples.shop.report import read_report
from examples.shop.show.accident import Accident
from examples.shop.show.checks import CHECKS, unreadable
from examples.shop.show.evidence import Added, Ending, Evidence
from examples.shop.show.screen import span

_MOST_SHOWN = 12


def problems(all_: Evidence) -> list[str]:
    """Run every check; give a sentence for each thing that is not accounted for."""
    return [problem for check in CHECKS for problem in check(all_)]


def show(console: Console, all_: Evidence, accident: Accident | None) -> None:
    """Print what happened."""
    console.print()
    console.print(_queues(all_))
    console.print()
    console.print("[bold]What broke[/], and what became of it")
    console.print(Padding(_incidents(all_, accident), (0, 0, 0, 2), expand=False))
    console.print()
    console.print("[bold]Outside of Redis[/]")
    for line in _outside(all_):
        console.print("  " + escape(line), highlight=False, soft_wrap=True)
    console.print()


def verdict(console: Console, all_: Evidence, found: list[str], folder: Path) -> int:
    """Print the last word; give the exit code."""
    if found:
        console.print(f"[bold red]Not accounted for: {len(found)}[/]")
        for problem in found[:_MOST_SHOWN]:
            console.print("  " + escape(problem), highlight=False, soft_wrap=True)
        if len(found) > _MOST_SHOWN:
            console.print(f"  and {len(found) - _MOST_SHOWN} more")
    else:
        took, rate = _pace(all_)
        console.print(
            f"[bold green]All {len(all_.added):,} jobs are accounted for.[/] "
            f"{took:.1f} s, {rate:,.0f} jobs a second of real work.",
            highlight=False,
        )
    console.print(f"Output: {escape(str(folder))}", highlight=False, soft_wrap=True)
    return 1 if found else 0


def _queues(all_: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("queue")
    for heading in ("jobs", "completed", "dead", "retried", "runs"):
        table.add_column(heading, justify="right", min_width=9)
    for queue in ("mail", "images", "reports"):
        jobs = [job for job in all_.added if job.queue == queue]
        table.add_row(queue, *_numbers(all_, jobs))
    table.add_section()
    table.add_row("together", *_numbers(all_, all_.added), style="bold")
    return table


def _numbers(all_: Evidence, jobs: list[Added]) -> list[str]:
    endings = [all_.endings[job.id] for job in jobs if job.id in all_.endings]
    states = Counter(ending.state for ending in endings)
    retried = sum(1 for ending in endings if ending.failed or ending.timeouts or ending.crashes)
    runs = sum(len(all_.runs.by_job.get(job.id, ())) for job in jobs)
    return [f"{n:,}" for n in (len(jobs), states["completed"], states["dead"], retried, runs)]


def _incidents(all_: Evidence, accident: Accident | None) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(no_wrap=True)
    refused = 0
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if ending is None or (accident is not None and job.id == accident.run.job):
            continue
        if unreadable(job, ending, all_.here):
            refused += 1
        elif ending.failed or ending.timeouts or ending.crashes or ending.lost:
            table.add_row(job.task, _trouble(all_, job, ending), _end(ending))
    if accident is not None:
        ending = all_.endings.get(accident.run.job)
        table.add_row(accident.run.task, _killed(all_, accident), _end(ending))
    if refused:
        table.add_row("thumbnail", f"{refused} not a picture that Pillow can read", "dead: failed")
    return table


def _trouble(all_: Evidence, job: Added, ending: Ending) -> str:
    what = [
        f"{text} {_times(count)}"
        for count, text in (
            (ending.failed, "failed"),
            (ending.timeouts, "killed at its timeout"),
            (ending.crashes, "took its process down"),
            (ending.lost, "lost with its host"),
        )
        if count
    ]
    runs = all_.runs.by_job.get(job.id, [])
    pauses = [span(b.started_at - (a.ended_at or a.started_at)) for a, b in pairwise(runs)]
    since = "after it failed" if ending.failed else "after its start"
    again = f"; ran again {' and '.join(pauses)} {since}" if pauses else ""
    return escape(", ".join(what) + again)


def _end(ending: Ending | None) -> str:
    if ending is None:
        return "no record"
    return "completed" if ending.state == "completed" else f"{ending.state}: {ending.cause}"


def _killed(all_: Evidence, accident: Accident) -> str:
    # Read anew: the job may have ended in the instant before the signal struck.
    hit = next(run for run in all_.runs.by_job[accident.run.job] if run.pid == accident.pid)
    again = all_.runs.after(hit)
    who = f"worker {accident.title.split()[-1]} killed by SIGKILL"
    if again is None:
        return escape(f"{who} just after it")
    where = "in it" if hit.how is None else "before its end was recorded"
    return escape(f"{who} {where}; ran again {span(again.started_at - accident.at)} later")


def _outside(all_: Evidence) -> list[str]:
    doubles = sum(n - 1 for n in all_.deliveries.values())
    repeated = sum(
        1 for runs in all_.runs.by_job.values() if sum(1 for run in runs if run.how == "end") > 1
    )
    reports = all_.here.reports
    rows = _rows([reports / "sales.csv"]), _rows(reports.glob("2*.csv"))
    pictures = len(list(all_.here.thumbnails.glob("[!.]*")))
    lines = [
        f"{len(all_.mails):>6,} mails received over SMTP; delivered twice: {doubles}",
        f"{pictures:>6,} pictures made, each opened again for this account",
        f"{len(all_.orders):>6,} orders; rows in sales.csv: {rows[0]:,}; in day reports: {rows[1]:,}",
        f"{repeated:>6,} jobs finished twice: their worker died before it could say so",
    ]
    if all_.partial:
        lines.append(f"{len(all_.partial):>6,} half-written file of a killed process, never used")
    return lines


def _rows(reports: Iterable[Path]) -> int:
    return sum(len(read_report(path)) for path in reports if path.exists())


def _pace(all_: Evidence) -> tuple[float, float]:
    runs = all_.runs.all()
    ended = [run.ended_at for run in runs if run.ended_at is not None]
    took = max(ended) - runs[0].started_at
    return took, sum(all_.runs.finished.values()) / took


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
