"""Judging daemons: the one of this host, the others, and what dead ones have left behind."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from jobd.core.alerts.loads import Load, disagreement
from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.doctor.store import skew
from jobd.core.durations import words
from jobd.core.portrait import Daemon, Host
from jobd.core.sizes import size_words

# A snapshot comes every few seconds: beyond this its host is gone, cut off, or hangs.
_SILENT = 30.0
_STARTS_WITHIN = 5.0
_OFTEN = 5
# Growth of a job beyond this is no cache that fills.
_LEAKS = 50_000
_SHOWN = 5


class Stray(msgspec.Struct, frozen=True):
    """A process that began below a daemon that is gone."""

    pid: int
    title: str


class LeaseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One lease in Redis: whose, how many jobs it holds, and for how long it has been over (s)."""

    queue: str
    incarnation: str
    held: int
    over_for: float = 0.0


class Leftovers(msgspec.Struct, frozen=True, kw_only=True):
    """What has no owner. `looked_at` counts the keys of the sample, None where Redis was not asked;
    `whole`: these were all."""

    strays: tuple[Stray, ...] = ()
    leases: tuple[LeaseFacts, ...] = ()
    ownerless: tuple[str, ...] = ()
    looked_at: int | None = None
    whole: bool = True


def examine(daemon: Daemon | None, *, directory: str, version: str) -> list[Finding]:
    """Judge the daemon of a runtime directory."""
    if daemon is None or not daemon.running:
        said = f"none runs in {directory}" + (
            "" if daemon is None else f"; the last was pid {daemon.pid}"
        )
        do = "start it with `jobd run`, or name its place with -c or --runtime-dir"
        return [note("daemon.running", said, do)]
    return [
        _alive(daemon),
        *_stale(daemon),
        *_version(daemon, version),
        *_helpers(daemon),
        *_reload(daemon),
        *_queues(daemon),
        *_growth(daemon),
        *_workers(daemon),
    ]


def _alive(daemon: Daemon) -> Finding:
    who = f"pid {daemon.pid}"
    if daemon.answers == "stopped":
        do = f"`kill -CONT {daemon.pid}` lets it go on; until then nothing is supervised"
        return error("daemon.running", f"{who} is stopped (SIGSTOP, a debugger)", do)
    if daemon.answers == "no":
        do = f"see its log; end it with `kill -QUIT {daemon.pid}`, then -KILL, and start it again"
        return error("daemon.running", f"{who} runs and does not answer", do)
    if daemon.stopping:
        do = "wait for it, or `jobd stop --now`"
        return note("daemon.running", f"{who} is stopping", do)
    return ok(
        "daemon.running", f"{who}, for {words(daemon.up_for)}, generation {daemon.generation}"
    )


def _stale(daemon: Daemon) -> list[Finding]:
    if daemon.stale is None:
        return []
    said = f"state.json is {words(daemon.stale)} old: the runtime directory may be full"
    do = "make room there, it is tried every second; see state.unwritten in the log"
    return [error("daemon.state", said, do)]


def _version(daemon: Daemon, version: str) -> list[Finding]:
    if not daemon.jobd or daemon.jobd == version:
        return []
    said = f"the daemon is jobd {daemon.jobd}, and this command {version}"
    return [warning("daemon.version", said, "restart the daemon: a reload keeps the old version")]


def _helpers(daemon: Daemon) -> list[Finding]:
    if daemon.stopping or daemon.up_for <= _STARTS_WITHIN:
        return []
    return [
        *(_waits(name) for name, how in daemon.helpers.items() if how == "waiting"),
        *(_starts(name) for name, how in daemon.helpers.items() if how == "starting"),
    ]


def _waits(name: str) -> Finding:
    do = "see the log for why it does not stay: nothing is renewed (keeper) or started without it"
    return error("daemon.helpers", f"{name}: waiting to be started again", do)


def _starts(name: str) -> Finding:
    # A reload starts some too, and all is well meanwhile.
    return note("daemon.helpers", f"{name}: starting", "ask again; see the log if it stays so")


def _reload(daemon: Daemon) -> list[Finding]:
    found = []
    if daemon.reload is not None and daemon.reload.error:
        said = f"the reload {words(daemon.reload.ago)} ago was refused: {daemon.reload.error}"
        found.append(error("daemon.reload", said, "mend that, see `jobd check`, and `jobd reload`"))
    elif daemon.last_error:
        said = f"last error: {daemon.last_error}"
        found.append(warning("daemon.last_error", said, "see the log, and `jobd check`"))
    return found


def _queues(daemon: Daemon) -> list[Finding]:
    return [
        error(
            "daemon.gave_up",
            f"queue {name!r}: {view.useless} workers in a row ended without having run a job",
            "see worker.died in the log; what is mended is found within a minute, or by `jobd reload`",
        )
        for name, view in daemon.queues.items()
        if view.gave_up
    ]


def _growth(daemon: Daemon) -> list[Finding]:
    found = []
    for name, view in daemon.queues.items():
        for grown in view.growth:
            each = grown.bytes / max(1, grown.jobs)
            if each >= _LEAKS and grown.jobs >= _OFTEN:
                said = (
                    f"queue {name!r}: its workers grow by {size_words(round(each))} a job of "
                    f"{grown.task!r}, over {grown.jobs} jobs"
                )
                do = "find what it keeps; until then a memory_limit replaces them between jobs"
                found.append(warning("daemon.growth", said, do))
    return found


def _workers(daemon: Daemon) -> list[Finding]:
    bad = ("crash", "oom", "memory", "hung", "boot")
    found = []
    for worker in daemon.workers:
        times = {cause: n for cause, n in worker.exits.items() if cause in bad}
        if sum(times.values()) >= _OFTEN:
            said = ", ".join(f"{cause} {n}" for cause, n in times.items())
            do = "see the log for what it ran; `jobd jobs list --state dead` for what it cost"
            found.append(
                warning("daemon.restarts", f"{worker.slot} was replaced often: {said}", do)
            )
    if not found and daemon.workers:
        found.append(ok("daemon.workers", _counted(daemon)))
    return found


def _counted(daemon: Daemon) -> str:
    phases: dict[str, int] = {}
    for worker in daemon.workers:
        phases[worker.phase] = phases.get(worker.phase, 0) + 1
    return "workers: " + ", ".join(f"{n} {phase}" for phase, n in sorted(phases.items()))


def examine_hosts(hosts: list[Host], ours: str) -> list[Finding]:
    """Judge the daemons of a namespace, as far as they have said something lately."""
    found: list[Finding] = []
    for host in hosts:
        name = host.key if host.daemon is None else f"{host.daemon.host} (pid {host.daemon.pid})"
        if host.silent_for > _SILENT:
            said = f"{name} has said nothing for {words(host.silent_for)}, and did not end in order"
            do = "see whether it runs and reaches Redis; its jobs run elsewhere after its lease"
            found.append(warning("hosts.silent", said, do))
        elif host.daemon is not None and host.daemon.nonce != ours and host.ahead is not None:
            found.append(skew("clock.hosts", f"the clock of {name}", host.ahead))
    versions = {h.daemon.jobd for h in hosts if h.daemon is not None and h.silent_for <= _SILENT}
    if len(versions) > 1:
        said = f"hosts run different versions: {', '.join(sorted(versions))}"
        found.append(note("hosts.versions", said, "finish the rollout, when it is none"))
    return found


def examine_rules(loads: Mapping[str, list[Load]]) -> list[Finding]:
    """Judge whether hosts define the alert rules they share alike."""
    do = "give all hosts the same rule and `jobd reload` there, or rules of their own names"
    return [
        warning("hosts.alerts", f"alert rule {rule!r:.200}: hosts differ: {words}", do)
        for rule, found in sorted(loads.items())
        if (words := disagreement(found))
    ]


def examine_leftovers(left: Leftovers, *, known: set[str], lease: float) -> list[Finding]:
    """Judge what may have no owner. `known` are the nonces of daemons that are there."""
    found = [
        error(
            "orphans.processes",
            f"pid {stray.pid} ({stray.title}) runs on below a daemon that is gone",
            f"`kill -KILL {stray.pid}`, after a look at what it does",
        )
        for stray in left.strays[:_SHOWN]
    ]
    found += _leases(left, known, lease)
    if left.ownerless:
        shown = ", ".join(left.ownerless[:_SHOWN])
        said = (
            f"{len(left.ownerless)} keys belong to nothing, of {left.looked_at} looked at: {shown}"
        )
        do = "nothing reads them: delete them when no program of an older version is left"
        found.append(warning("orphans.keys", said, do))
    if not found and left.looked_at is None:
        found.append(ok("orphans", "no process without an owner"))
    elif not found:
        keys = f"{'all' if left.whole else 'a sample of'} {left.looked_at} keys"
        found.append(ok("orphans", f"no process, lease or key without an owner ({keys})"))
    return found


def _leases(left: Leftovers, known: set[str], lease: float) -> list[Finding]:
    found: list[Finding] = []
    over = [each for each in left.leases if each.over_for > lease]
    for each in over[:_SHOWN]:
        said = (
            f"the lease of {each.incarnation} (queue {each.queue}) is over for {words(each.over_for)}; "
            f"it holds {each.held} jobs"
        )
        do = "start a daemon for this namespace: any one gives them back"
        found.append(error("orphans.leases", said, do))
    strange = {
        each.incarnation.rpartition(".")[0]
        for each in left.leases
        if each not in over and each.incarnation.rpartition(".")[0] not in known
    }
    if strange:
        said = f"{len(strange)} daemons hold leases and say nothing in `jobd status`"
        do = "they are of an older version, or just gone: look again after a lease"
        found.append(note("orphans.unknown", f"{said}: {', '.join(sorted(strange)[:_SHOWN])}", do))
    return found
