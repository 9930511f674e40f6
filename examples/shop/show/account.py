"""The account: what was added, how it ended, what broke and how fast it was back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from examples.shop.report import read_report
from examples.shop.show.breaks import broke
from examples.shop.show.checks import no_delayed_job_ran_early, unreadable
from examples.shop.show.evidence import Added, Ending, Evidence
from examples.shop.show.runs import Run
from examples.shop.show.screen import QUEUES, span

_MOST_SHOWN = 12


def show(console: Console, all_: Evidence) -> None:
    """Print what happened."""
    console.print()
    console.print(_queues(all_))
    console.print()
    console.print("[bold]What broke[/]")
    console.print(Padding(_incidents(all_), (0, 0, 0, 2), expand=False))
    console.print(
        "  [dim]After a failure or a timeout the shop's tasks ask for a pause of 300 ms.[/]"
    )
    console.print()
    console.print("[bold]Outside of Redis[/]")
    for line in _outside(all_):
        console.print("  " + escape(line), highlight=False, soft_wrap=True)
    console.print()


def verdict(console: Console, all_: Evidence, found: list[str]) -> int:
    """Print the last word; give the exit code."""
    if found:
        console.print("[bold red]The account does not add up.[/]")
        for problem in found[:_MOST_SHOWN]:
            console.print("  " + escape(problem), highlight=False, soft_wrap=True)
        if len(found) > _MOST_SHOWN:
            console.print(f"  and {len(found) - _MOST_SHOWN:,} more", highlight=False)
    else:
        took, rate = _pace(all_)
        console.print(
            f"[bold green]All {len(all_.added):,} jobs are accounted for.[/] "
            f"{took:.1f} s, {rate:,.0f} jobs a second of real work.",
            highlight=False,
        )
    where(console, all_.here.folder)
    return 1 if found else 0


def where(console: Console, folder: Path) -> None:
    """Say where the output lies."""
    console.print(f"Output: {escape(str(folder))}", highlight=False, soft_wrap=True)
    console.print("  mail/*.eml, thumbnails/*.jpg, reports/*.csv, and a log of each process")


def _queues(all_: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("queue")
    for heading in ("jobs", "completed", "dead", "retried", "runs"):
        table.add_column(heading, justify="right", min_width=9)
    for queue in QUEUES:
        table.add_row(queue, *_numbers(all_, [job for job in all_.added if job.queue == queue]))
    table.add_section()
    table.add_row("together", *_numbers(all_, all_.added), style="bold")
    return table


def _numbers(all_: Evidence, jobs: list[Added]) -> list[str]:
    endings = [all_.endings[job.id] for job in jobs if job.id in all_.endings]
    states = Counter(ending.state for ending in endings)
    retried = sum(1 for ending in endings if _broke(ending))
    runs = sum(len(all_.runs.by_job.get(job.id, ())) for job in jobs)
    return [f"{n:,}" for n in (len(jobs), states["completed"], states["dead"], retried, runs)]


def _incidents(all_: Evidence) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("task", "what happened", "ran again", "end"):
        table.add_column(heading)
    refused = 0
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if ending is None or not _broke(ending):
            continue
        if unreadable(job, ending, all_.here):
            refused += 1
            continue
        pauses = _pauses(all_, all_.runs.by_job.get(job.id, []))
        again = f"{' and '.join(pauses)} later" if pauses else ""
        table.add_row(job.task, _trouble(all_, ending), again, _end(ending))
    if refused:
        table.add_row("thumbnail", f"no picture, {_times(refused)}", "", "dead: failed")
    return table


def _broke(ending: Ending) -> bool:
    return bool(ending.failed or ending.timeouts or ending.crashes or ending.lost)


def _trouble(all_: Evidence, ending: Ending) -> str:
    hit = all_.accident if all_.accident and ending.id == all_.accident.job else None
    what = (
        (ending.failed, "failed"),
        (ending.timeouts, "timeout"),
        (ending.crashes - 1 if hit else ending.crashes, "process crashed"),
        (ending.lost, "lost with its host"),
    )
    told = [f"{text} {_times(count)}" for count, text in what if count]
    return ", ".join([f"{hit.worker} got SIGKILL", *told] if hit else told)


def _pauses(all_: Evidence, runs: list[Run]) -> list[str]:
    return [span(after.started_at - broke(run, all_.accident)[0]) for run, after in pairwise(runs)]


def _end(ending: Ending) -> str:
    return "completed" if ending.state == "completed" else f"{ending.state}: {ending.cause}"


def _outside(all_: Evidence) -> list[str]:
    doubles = sum(n - 1 for n in all_.deliveries.values())
    repeated = sum(
        1 for runs in all_.runs.by_job.values() if sum(run.how == "end" for run in runs) > 1
    )
    reports = all_.here.reports
    rows = _rows([reports / "sales.csv"]), _rows(reports.glob("2*.csv"))
    pictures = len(list(all_.here.thumbnails.glob("[!.]*")))
    early = len(list(no_delayed_job_ran_early(all_)))
    delayed = sum("delay" in job.options for job in all_.added)
    lines = [
        f"{len(all_.mails):>6,} mails received over SMTP; delivered twice: {doubles}",
        f"{pictures:>6,} pictures made, each opened again for this account",
        f"{len(all_.orders):>6,} orders; rows in sales.csv: {rows[0]:,}; in day reports: {rows[1]:,}",
        f"{delayed:>6,} jobs with a delay; started early: {early}",
        f"{repeated:>6,} jobs finished twice: their worker died before it could say so",
        _priorities(all_),
    ]
    if all_.partial:
        lines.append(f"{len(all_.partial):>6,} half-written file of a killed process, never used")
    return lines


def _priorities(all_: Evidence) -> str:
    waits: dict[bool, list[float]] = {True: [], False: []}
    for job in all_.added:
        if job.task == "order-confirmation" and (runs := all_.runs.by_job.get(job.id)):
            waits["priority" in job.options].append(runs[0].started_at - job.since)
    express, others = (
        span(median(waits[which])) if waits[which] else "-" for which in (True, False)
    )
    return f"{len(waits[True]):>6,} express mails waited {express}, the others {others} (medians)"


def _rows(reports: Iterable[Path]) -> int:
    return sum(len(read_report(path)) for path in reports if path.exists())


def _pace(all_: Evidence) -> tuple[float, float]:
    runs = [run for runs in all_.runs.by_job.values() for run in runs]
    took = max(run.ended_at or run.started_at for run in runs) - min(run.started_at for run in runs)
    return took, sum(all_.runs.finished.values()) / took


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
