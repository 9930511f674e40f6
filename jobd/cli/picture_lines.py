"""The picture in words: lines for people, as wide as there is room. Printed by status, drawn by top.

Invariant: each line is printable and no wider than asked; a column that has no room is left out in the
order of its worth, and what is wrong stands above all tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from jobd.broker.flow import Flow
from jobd.cli.flow_words import flow_words
from jobd.cli.output import printable
from jobd.cli.picture import Picture, Store
from jobd.cli.table import cropped, table_lines
from jobd.core.durations import words
from jobd.core.portrait import SILENT, Daemon, Host, QueueView, Worker
from jobd.core.sizes import size_words
from jobd.core.states import STATES

_PROBLEMS = 3

Style = Literal["", "head", "bad", "warn", "dim"]


class Line(NamedTuple):
    """One line, and how it looks."""

    text: str
    style: Style = ""


class Place(NamedTuple):
    """A worker, and where it is."""

    host: str
    worker: Worker


def daemon_lines(picture: Picture, width: int | None) -> list[Line]:
    """Say how the daemon of this host is, and its configuration where that is broken."""
    said = [f"config   {picture.problems[0]}"] if picture.problems else []
    said += [f"         {problem}" for problem in picture.problems[1:_PROBLEMS]]
    if len(picture.problems) > _PROBLEMS:
        said.append(f"         and {len(picture.problems) - _PROBLEMS} problems more: `jobd check`")
    return [*(_line(text, width, "bad") for text in said), *_daemon_lines(picture, width)]


def _daemon_lines(picture: Picture, width: int | None) -> list[Line]:
    daemon = picture.daemon
    if picture.unreadable is not None:
        return [_line(f"daemon   {picture.unreadable}", width, "bad")]
    if daemon is None:
        return [_line(f"daemon   none has run in {picture.runtime_dir}", width)]
    if not daemon.running:
        return [_line(f"daemon   not running; the last one was pid {daemon.pid}", width)]
    head = f"daemon   {_state(daemon)}, pid {daemon.pid}, for {words(daemon.up_for)}"
    if daemon.generation > 1:
        head += f", generation {daemon.generation}"
        if daemon.reload is not None and not daemon.reload.error and not daemon.reload.running:
            head += f" for {words(daemon.reload.ago)}"
    found = [_line(head, width, "" if daemon.answers in ("yes", "unknown") else "bad")]
    helpers = ", ".join(f"{name} {how}" for name, how in daemon.helpers.items())
    found.append(_line(f"         {helpers}", width))
    if picture.web is not None:
        where = picture.web
        said = "the sockets of systemd" if where == "systemd" else f"http://{where}/readyz"
        found.append(_line(f"         health at {said}", width))
    if elsewhere := _elsewhere(picture, daemon):
        found.append(_line(f"         {elsewhere}", width, "warn"))
    return found + [_line(f"         {text}", width, style) for text, style in troubles(daemon)]


def _elsewhere(picture: Picture, daemon: Daemon) -> str:
    """Say where the daemon works, if that is not, or may not be, the Redis that was looked at."""
    there = f"{daemon.redis}, namespace {daemon.namespace}"
    here = f"{picture.url}, namespace {picture.namespace}"
    if picture.works_here is False:
        return (
            f"it works on another Redis: {there}; all that follows is of {here}, without it; to look "
            "there, see JOBD_REDIS_URL, --redis-url and the configuration"
        )
    if picture.works_here is None and daemon.redis:
        return f"it works on {there}; whether that is {here} is not known yet"
    return ""


def troubles(daemon: Daemon) -> Iterator[tuple[str, Style]]:
    """Say what is wrong with a daemon, the worst first."""
    if daemon.answers == "stopped":
        yield f"it is stopped: `kill -CONT {daemon.pid}` lets it go on", "bad"
    elif daemon.answers == "no":
        yield "it runs and does not answer: see its log, and `jobd doctor`", "bad"
    if daemon.stale is not None:
        yield f"state.json is {words(daemon.stale)} old: the runtime directory may be full", "bad"
    for name, queue in daemon.queues.items():
        if queue.gave_up:
            yield (
                f"queue {name} gave up: {queue.useless} workers in a row ended without having run a "
                "job; one is tried now and then",
                "bad",
            )
    reload = daemon.reload
    if reload is not None and reload.error:
        yield f"reload refused {words(reload.ago)} ago: {reload.error}", "bad"
    elif reload is not None and reload.running:
        yield f"reloading, for {words(reload.ago)}", "warn"
    if daemon.last_error and not (reload and reload.error):
        yield f"last error: {daemon.last_error}", "warn"


def store_lines(store: Store, url: str, width: int | None) -> list[Line]:
    """Say how Redis is."""
    found = []
    if facts := store.server:
        used = f"{size_words(facts.used_memory)} used"
        most = f" of {size_words(facts.max_memory)}" if facts.max_memory else ""
        found.append(_line(f"redis    {facts.name} {facts.version} at {url}, {used}{most}", width))
    for unfit in store.unfit:
        style: Style = "bad" if unfit.level == "error" else "warn"
        found.append(_line(f"         {unfit.level}: {unfit.why}", width, style))
    if store.trouble:
        found.append(_line(f"redis    {store.trouble.removeprefix('redis: ')}", width, "bad"))
    return found


def host_lines(picture: Picture, width: int | None) -> list[Line]:
    """Give the table of hosts, where there are others than this one."""
    ours = picture.ours.nonce if picture.ours is not None else ""
    known = picture.store.hosts
    if all(host.daemon is not None and host.daemon.nonce == ours for host in known):
        return []
    rows = [_host_row(_newest(host, picture.ours), ours) for host in known]
    heads = ("HOST", "STATE", "PID", "UP", "GEN", "WORKERS", "BUSY", "MEMORY", "JOBD")
    spare = ("JOBD", "GEN", "PID", "MEMORY", "UP")
    lines = table_lines(heads, rows, width=width, spare=spare, elastic=("STATE",), remark="NOTE")
    return _table(lines)


def _newest(host: Host, here: Daemon | None) -> Host:
    """Give a host as it is: of this one more is known than its last word."""
    if here is None or host.daemon is None or host.daemon.nonce != here.nonce:
        return host
    return msgspec.structs.replace(host, daemon=here, silent_for=0.0)


def _host_row(host: Host, ours: str) -> tuple[object, ...]:
    daemon = host.daemon
    state = f"silent for {words(host.silent_for)}" if host.silent_for > SILENT else None
    if daemon is None:
        why = "of another version" if host.why_unread else ""
        return (host.key, state or "unread", None, None, None, None, None, None, None, why)
    here = " (here)" if daemon.nonce == ours else ""
    note = "; ".join(text for text, _ in troubles(daemon))
    memory = sum(worker.memory or 0 for worker in daemon.workers)
    return (
        f"{daemon.host}{here}",
        state or ("reloading" if daemon.reload and daemon.reload.running else _state(daemon)),
        daemon.pid,
        words(daemon.up_for),
        daemon.generation,
        daemon.workers_in_all,
        sum(worker.running > 0 for worker in daemon.workers),
        size_words(memory) if memory else None,
        daemon.jobd,
        note,
    )


def places(picture: Picture, *, everywhere: bool) -> list[Place]:
    """List the workers to show: of this host, or of all; where no daemon here has part in it, of all."""
    everybody = daemons(picture)
    here = [daemon for daemon in everybody if daemon is picture.ours]
    names = _names(everybody)
    return [
        Place(names[daemon.nonce], worker)
        for daemon in (everybody if everywhere or not here else here)
        for worker in daemon.workers
    ]


def _names(everybody: list[Daemon]) -> dict[str, str]:
    """Name each daemon by its host, and by its pid too where a host has several."""
    hosts = [daemon.host for daemon in everybody]
    return {
        daemon.nonce: daemon.host
        if hosts.count(daemon.host) == 1
        else f"{daemon.host}:{daemon.pid}"
        for daemon in everybody
    }


def worker_lines(
    found: list[Place], width: int | None, *, rates: Mapping[str, float] | None = None
) -> list[Line]:
    """Give the table of workers; with `rates`, jobs a second by incarnation, a column for these."""
    if not found:
        return []
    several = len({place.host for place in found}) > 1
    heads = ["WORKER", "PHASE", "PID", "UP", "MEMORY", "SETTLED", "RESTARTS"]
    rows = []
    for place in found:
        row = _worker_row(place.worker)
        if several:
            row = (row[0], place.host, *row[1:])
        if rates is not None:
            at = len(row) - 2
            row = (*row[:at], _rate(rates.get(place.worker.incarnation or "")), *row[at:])
        rows.append(row)
    if several:
        heads.insert(1, "HOST")
    if rates is not None:
        heads.insert(-1, "JOBS/S")
    spare = ("SETTLED", "UP", "PID", "JOBS/S", "HOST", "MEMORY")
    lines = table_lines(
        heads, rows, width=width, spare=spare if rates is not None else (),
        elastic=("RESTARTS", "HOST"), remark="RUNNING",
    )  # fmt: skip
    return _table(lines)


def _worker_row(worker: Worker) -> tuple[object, ...]:
    running = ""
    if worker.job is not None and worker.running_for is not None:
        running = f"{words(worker.running_for)}: {worker.job} {worker.task}"
        if worker.running > 1:
            running += f" and {worker.running - 1} more"
    return (
        worker.slot,
        _phase(worker),
        worker.pid,
        None if worker.up_for is None else words(worker.up_for),
        None if worker.memory is None else size_words(worker.memory),
        worker.settled,
        causes(worker.exits),
        running,
    )


def _phase(worker: Worker) -> str:
    return worker.phase if worker.leaving is None else f"leaving: {worker.leaving}"


def causes(exits: Mapping[str, int]) -> str:
    """Write causes with their counts, the most frequent first."""
    ordered = sorted(exits.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{cause} {count}" for cause, count in ordered)


def queue_lines(
    picture: Picture, width: int | None, *, rates: Mapping[str, float] | None = None
) -> list[Line]:
    """Give the table of queues; with `rates`, jobs a second by queue, a column for these."""
    store = picture.store
    if not store.counts:
        return []
    pools = _pools(picture)
    rows = []
    for queue, jobs in store.counts.items():
        row = [queue, *(jobs[state] for state in STATES), _staffed(pools.get(queue))]
        if rates is not None:
            row.append(_rate(rates.get(queue)))
        rows.append([*row, _queue_note(store.flows.get(queue), pools.get(queue))])
    heads = ["QUEUE", *(state.upper() for state in STATES), "WORKERS"]
    if rates is not None:
        heads.append("JOBS/S")
    spare = ("CANCELLED", "COMPLETED", "JOBS/S", "DELAYED") if rates is not None else ()
    lines = table_lines(heads, rows, width=width, spare=spare, remark="NOTE")
    return _table(lines)


class _Pool(NamedTuple):
    """The workers of a queue on all hosts, how many of them work, and who has given up."""

    there: int
    wanted: int
    gave_up: tuple[str, ...]


def _pools(picture: Picture) -> dict[str, _Pool]:
    found: dict[str, _Pool] = {}
    for daemon in daemons(picture):
        for name, view in daemon.queues.items():
            there = sum(
                worker.queue == name and worker.pid is not None and worker.leaving is None
                for worker in daemon.workers
            )
            before = found.get(name, _Pool(0, 0, ()))
            gave_up = (*before.gave_up, daemon.host) if view.gave_up else before.gave_up
            found[name] = _Pool(before.there + there, before.wanted + view.wanted, gave_up)
    return found


def daemons(picture: Picture) -> list[Daemon]:
    """List the daemons of the Redis that was looked at, that of this host first."""
    found = [] if picture.ours is None else [picture.ours]
    ours = {daemon.nonce for daemon in found}
    return found + [
        host.daemon
        for host in picture.store.hosts
        if host.daemon is not None and host.silent_for <= SILENT and host.daemon.nonce not in ours
    ]


def _staffed(pool: _Pool | None) -> str:
    if pool is None:
        return "none"
    return str(pool.there) if pool.there == pool.wanted else f"{pool.there} of {pool.wanted}"


def _queue_note(flow: Flow | None, pool: _Pool | None) -> str:
    parts = [] if flow is None else [flow_words(flow)]
    if pool is not None and pool.gave_up:
        parts.insert(0, f"gave up on {', '.join(pool.gave_up)}")
    return "; ".join(part for part in parts if part)


def explain_lines(picture: Picture, width: int | None) -> list[Line]:
    """Say of each queue why it has so many workers, on each host."""
    found = [Line("")]
    several = len(daemons(picture)) > 1
    names = _names(daemons(picture))
    for daemon in daemons(picture):
        for name, view in daemon.queues.items():
            where = f"{name} on {names[daemon.nonce]}" if several else name
            found.append(_line(f"{where}: {_explained(view)}", width))
    return found if len(found) > 1 else []


def _explained(view: QueueView) -> str:
    """Say it: `2 processes of 1 to 4: why`. What says so itself need not be said twice."""
    wanted = f"{view.wanted} process{'' if view.wanted == 1 else 'es'}"
    if view.least != view.most:
        wanted += f" of {view.least} to {view.most}"
    return f"{wanted}: {view.explain}" if view.explain else f"{wanted}, as configured"


def _rate(rate: float | None) -> float | None:
    if rate is None:
        return None
    return round(rate) if rate >= 10 or rate == 0 else round(rate, 1)


def _state(daemon: Daemon) -> str:
    if daemon.answers in ("no", "stopped"):
        return "hangs" if daemon.answers == "no" else "stopped"
    return "stopping" if daemon.stopping else "running"


def _line(text: str, width: int | None, style: Style = "") -> Line:
    shown = printable(text)
    return Line(shown if width is None else cropped(shown, width), style)


def _table(lines: Iterable[str]) -> list[Line]:
    head, *rest = lines
    return [Line(""), Line(head, "head"), *(Line(line) for line in rest)]
