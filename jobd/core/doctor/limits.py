"""Judging limits: what the configuration asks of the machine and of its service manager."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from jobd.core.doctor.finding import Finding, error, note, ok, warning
from jobd.core.durations import words
from jobd.core.sizes import size_words

# What a daemon may need beyond drain_timeout: the keeper's last releases, and the ends of helpers.
MARGIN = 7.0
# What one worker opens beside its jobs, and each job that runs in it: a connection or two, a file.
_FILES_OF_WORKER, _FILES_OF_JOB = 32, 2
# What the supervisor holds for each worker (a pidfd and one to spare), and for itself.
_FILES_FOR_WORKER, _FILES_OF_SUPERVISOR = 2, 64
_LONGEST_LEASE = 600.0


class QueueLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What one queue asks for. Spans in seconds, sizes in bytes; 0: no such limit."""

    name: str
    least: int
    most: int
    concurrency: int
    timeout: float
    soft_timeout: float = 0.0
    memory_limit: int = 0
    memory_limit_hard: int = 0


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration asks for."""

    lease: float
    drain_timeout: float
    queues: tuple[QueueLoad, ...]
    max_processes: int = 0

    @property
    def most(self) -> int:
        """How many workers may run here at once."""
        wanted = sum(queue.most for queue in self.queues)
        return min(wanted, self.max_processes) if self.max_processes else wanted


class UnitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What systemd does with the service. `where` names the unit, and how that is known."""

    name: str
    where: str
    notifies: bool = False
    stop_timeout: float = math.inf
    watchdog: float = 0.0
    kill_mode: str = "control-group"
    oom_policy: str = "stop"


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that hold for `whose`. None: there is none, or it cannot be known."""

    whose: str
    memory: int | None = None  # of the machine
    memory_limit: int | None = None  # of the control group
    cpus: int = 1
    files: int | None = None
    tasks: int | None = None  # processes and threads: of the user, or of the control group
    tasks_now: int | None = None
    tasks_source: str = "RLIMIT_NPROC"
    overcommit: int = 0
    kubernetes: bool = False


def examine(load: Load, unit: UnitFacts | None, machine: MachineFacts) -> list[Finding]:
    """Judge a configuration against the machine it is for."""
    return [
        *_service(load, unit, machine),
        *_spans(load),
        *_numbers(load),
        *_memory(load, machine),
        *_files(load, machine),
        *_tasks(load, machine),
    ]


def _service(load: Load, unit: UnitFacts | None, machine: MachineFacts) -> Sequence[Finding]:
    drain, needs = load.drain_timeout, load.drain_timeout + MARGIN
    if unit is None:
        if not machine.kubernetes:
            return []
        return [
            note(
                "stop.kubernetes",
                f"drain_timeout is {words(drain)}; the pod's grace cannot be seen from inside it",
                f"have terminationGracePeriodSeconds at {math.ceil(needs)} or more",
            )
        ]
    found = []
    if unit.stop_timeout >= needs:
        said = f"{unit.name} leaves drain_timeout, {words(drain)}, its time"
        found.append(ok("stop.systemd", said))
    else:
        allowed = f"{unit.name} is killed {words(unit.stop_timeout)} after its stop ({unit.where})"
        do = f"set TimeoutStopSec={math.ceil(needs)} in the unit, or lower daemon.drain_timeout"
        if unit.notifies:
            said = f"{allowed}, and drain_timeout is {words(drain)}: the daemon has to ask for more"
            found.append(warning("stop.systemd", said, do))
        else:
            said = f"{allowed}, before drain_timeout, {words(drain)}: each stop cuts jobs off"
            found.append(error("stop.systemd", said, do))
    if unit.kill_mode in ("control-group", "process", "none"):
        what = (
            "every process is told to stop, tasks' children too"
            if unit.kill_mode == "control-group"
            else "what tasks have left behind is not ended"
        )
        said = f"KillMode={unit.kill_mode} in {unit.name}: {what}"
        found.append(warning("stop.kill_mode", said, "set KillMode=mixed"))
    if 0 < unit.watchdog < 2:
        said = f"WatchdogSec={unit.watchdog:g} in {unit.name}; the loop says four times a second that it turns"
        found.append(warning("stop.watchdog", said, "set WatchdogSec=10s or more"))
    if unit.oom_policy in ("stop", "kill"):
        said = f"OOMPolicy={unit.oom_policy} in {unit.name}: one worker without memory ends the service"
        found.append(warning("stop.oom_policy", said, "set OOMPolicy=continue"))
    return found


def _spans(load: Load) -> Sequence[Finding]:
    found = []
    if load.lease > _LONGEST_LEASE:
        said = f"daemon.lease is {words(load.lease)}: so long the jobs of a lost host wait"
        found.append(warning("config.lease", said, "lower it; 30s is the default"))
    if load.drain_timeout == 0:
        said = "daemon.drain_timeout is 0: every stop interrupts what runs"
        found.append(warning("config.drain_timeout", said, "give jobs some time, as in 25s"))
    for queue in load.queues:
        soft, hard = queue.soft_timeout, queue.timeout
        if soft and hard and soft >= hard:
            said = f"queue {queue.name!r}: soft_timeout {words(soft)} is not below timeout {words(hard)}"
            found.append(
                error("config.soft_timeout", said, "lower soft_timeout, or it never comes about")
            )
    longer = [q.name for q in load.queues if not q.timeout or q.timeout > load.drain_timeout]
    if longer:
        said = (
            f"jobs of {_list(longer)} may run for longer than drain_timeout, {words(load.drain_timeout)}: "
            "a stop hands those back, and they begin anew"
        )
        do = "raise daemon.drain_timeout (and the service manager's) if they cannot be repeated"
        found.append(note("config.interrupted", said, do))
    return found


def _numbers(load: Load) -> Sequence[Finding]:
    found: list[Finding] = []
    if load.queues and not load.most:
        said = "processes is 0 for every queue: nothing is served here"
        found.append(note("config.processes", said, "start no daemon here, or give it processes"))
    least = sum(queue.least for queue in load.queues)
    if load.max_processes and least > load.max_processes:
        said = f"the queues want {least} processes at least, and daemon.max_processes is {load.max_processes}"
        do = "raise max_processes, or lower processes (min) of some queues"
        found.append(error("config.max_processes", said, do))
    for queue in load.queues:
        soft, hard = queue.memory_limit, queue.memory_limit_hard
        if soft and hard and soft >= hard:
            said = f"queue {queue.name!r}: memory_limit {size_words(soft)} is not below memory_limit_hard {size_words(hard)}"
            do = "lower memory_limit, or every worker over it is killed instead of replaced"
            found.append(error("config.memory_limit", said, do))
    return found


def _memory(load: Load, machine: MachineFacts) -> Sequence[Finding]:
    known = [each for each in (machine.memory, machine.memory_limit) if each is not None]
    if not known:
        return []
    there = min(known)
    where = "the machine" if there == machine.memory else "the control group"
    asked = sum(q.most * (q.memory_limit_hard or q.memory_limit) for q in load.queues)
    unlimited = [q.name for q in load.queues if not q.memory_limit and not q.memory_limit_hard]
    if asked > there:
        said = f"the workers may take {size_words(asked)} in all before a memory_limit acts; {where} has {size_words(there)}"
        do = "lower memory_limit or processes, or the kernel's OOM killer chooses whom to end"
        return [warning("limits.memory", said, do)]
    if unlimited:
        said = f"{_list(unlimited)} without a memory_limit; {where} has {size_words(there)}"
        do = "set memory_limit: a worker that grows is then replaced between jobs"
        return [note("limits.memory", said, do)]
    if not asked:
        return []
    return [
        ok(
            "limits.memory",
            f"memory limits come to {size_words(asked)} of the {size_words(there)} of {where}",
        )
    ]


def _files(load: Load, machine: MachineFacts) -> Sequence[Finding]:
    if machine.files is None or not load.queues:
        return []
    supervisor = _FILES_OF_SUPERVISOR + _FILES_FOR_WORKER * 2 * load.most
    busiest = max(load.queues, key=lambda queue: queue.concurrency)
    worker = _FILES_OF_WORKER + _FILES_OF_JOB * busiest.concurrency
    said = f"{machine.whose} may have {machine.files} files open in each process"
    if machine.files < supervisor:
        why = f"the supervisor of {load.most} workers needs about {supervisor}"
        return [error("limits.files", f"{said}; {why}", f"set LimitNOFILE={2 * supervisor}")]
    if machine.files < worker:
        why = f"a worker of {busiest.name!r} with concurrency {busiest.concurrency} about {worker}"
        return [warning("limits.files", f"{said}; {why}", f"set LimitNOFILE={2 * worker}")]
    return [ok("limits.files", said)]


def _tasks(load: Load, machine: MachineFacts) -> Sequence[Finding]:
    if machine.tasks is None:
        return []
    # While a daemon reloads, old and new workers run side by side.
    threads = sum(q.most * (2 + (q.concurrency if q.concurrency > 1 else 0)) for q in load.queues)
    needed = 2 * threads + 16
    left = machine.tasks - (machine.tasks_now or 0)
    said = f"{machine.whose} may start {left} more processes and threads ({machine.tasks_source})"
    if left < needed:
        why = f"{load.most} workers, twice while reloading, need about {needed}"
        level = error if left < threads else warning
        return [
            level("limits.processes", f"{said}; {why}", "raise LimitNPROC, TasksMax or pids.max")
        ]
    found = [ok("limits.processes", said)]
    if machine.overcommit == 2:
        what = "vm.overcommit_memory is 2: forking a large application may be refused"
        found.append(note("limits.overcommit", what, "set it to 0, if workers are not started"))
    return found


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return f"queue{'s' if len(names) > 1 else ''} {shown}{more}"
