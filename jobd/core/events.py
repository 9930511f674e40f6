"""What happens in a daemon, as frozen facts. Code emits them; jobd.seams.log renders them.

Invariant: `event` and `level` belong to the class, never to the place that emits; arguments and
results of jobs never appear. Emitted off the hot path only: nothing here runs once per job.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

Level = Literal["debug", "info", "warning", "error"]
LEVELS: dict[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The root of all events. Fields are the facts; the names of the fields are what logs show."""

    event: ClassVar[str] = "event"
    level: ClassVar[Level] = "info"


# --- the daemon ---


class Told(Event, frozen=True, kw_only=True):
    """What is told to the person who starts a daemon, in a sentence."""

    why: str


class ConfigDoubtful(Told, frozen=True, kw_only=True):
    """The configuration can be used, and something in it is probably not meant so."""

    event: ClassVar[str] = "config.doubtful"
    level: ClassVar[Level] = "warning"


class DaemonFailed(Told, frozen=True, kw_only=True):
    """The daemon ends, for this reason."""

    event: ClassVar[str] = "daemon.failed"
    level: ClassVar[Level] = "error"


class DaemonStarted(Event, frozen=True, kw_only=True):
    """The supervisor runs and owns its runtime directory."""

    event: ClassVar[str] = "daemon.started"
    pid: int
    nonce: str
    runtime_dir: str
    processes: int


class DaemonReady(Event, frozen=True, kw_only=True):
    """The application is loaded and every worker has been started once."""

    event: ClassVar[str] = "daemon.ready"
    workers: int


class DaemonDraining(Event, frozen=True, kw_only=True):
    """No new jobs; running ones may finish within `grace` seconds."""

    event: ClassVar[str] = "daemon.draining"
    grace: float


class DaemonStopping(Event, frozen=True, kw_only=True):
    """Workers are ended at once and their jobs handed back."""

    event: ClassVar[str] = "daemon.stopping"
    level: ClassVar[Level] = "warning"


class DaemonStopped(Event, frozen=True, kw_only=True):
    """The supervisor ends. `unreleased` workers' jobs wait for the next start or for a lease."""

    event: ClassVar[str] = "daemon.stopped"
    code: int
    unreleased: int


class DaemonSwept(Event, frozen=True, kw_only=True):
    """The supervisor was ended from outside; what it had begun was ended after it. `left` did not."""

    event: ClassVar[str] = "daemon.swept"
    level: ClassVar[Level] = "warning"
    ended: int
    left: tuple[int, ...]


class DaemonUnmarked(Event, frozen=True, kw_only=True):
    """What tasks start cannot be told from other processes once it has left their session."""

    event: ClassVar[str] = "daemon.unmarked"
    level: ClassVar[Level] = "warning"
    hint: str = (
        "run the daemon without a limit on real-time processor time (LimitRTTIME, ulimit -R)"
    )


class DaemonUnwell(Event, frozen=True, kw_only=True):
    """The supervisor turns, but does not supervise: systemd's watchdog is not fed until it does."""

    event: ClassVar[str] = "daemon.unwell"
    level: ClassVar[Level] = "error"
    why: str
    hint: str = "the service manager restarts it; without one, restart the daemon"


class SignalIgnored(Event, frozen=True, kw_only=True):
    """A signal came that has no meaning in this version."""

    event: ClassVar[str] = "signal.ignored"
    level: ClassVar[Level] = "warning"
    signal: str
    why: str


class StateUnwritten(Event, frozen=True, kw_only=True):
    """state.json could not be written; what runs goes on."""

    event: ClassVar[str] = "state.unwritten"
    level: ClassVar[Level] = "error"
    why: str
    since: float


class StateWritten(Event, frozen=True, kw_only=True):
    """state.json is up to date again, after so many seconds."""

    event: ClassVar[str] = "state.written"
    after: float


class PredecessorFound(Event, frozen=True, kw_only=True):
    """A daemon that ended without cleaning up left workers' pages; they are released first."""

    event: ClassVar[str] = "predecessor.found"
    level: ClassVar[Level] = "warning"
    board: str
    workers: int


class PredecessorUnusable(Event, frozen=True, kw_only=True):
    """A predecessor's scoreboard, or one of its processes, cannot be dealt with."""

    event: ClassVar[str] = "predecessor.unusable"
    level: ClassVar[Level] = "error"
    board: str
    why: str


# --- processes ---


class HelperStarted(Event, frozen=True, kw_only=True):
    """The keeper or a preloader was started."""

    event: ClassVar[str] = "helper.started"
    level: ClassVar[Level] = "debug"
    helper: str


class HelperEnded(Event, frozen=True, kw_only=True):
    """The keeper or a preloader ended without being asked; workers are not touched."""

    event: ClassVar[str] = "helper.ended"
    level: ClassVar[Level] = "error"
    helper: str
    how: str
    restart_in: float


class WorkerStarted(Event, frozen=True, kw_only=True):
    """A worker process runs."""

    event: ClassVar[str] = "worker.started"
    slot: str
    incarnation: str
    pid: int
    restarts: int


class WorkerStopped(Event, frozen=True, kw_only=True):
    """A worker ended as it was told to, and why it was told."""

    event: ClassVar[str] = "worker.stopped"
    slot: str
    incarnation: str
    how: str
    why: str


class WorkerDied(Event, frozen=True, kw_only=True):
    """A worker ended otherwise. `jobs` are the ids of the jobs that were running and are blamed, `tokens`
    their claims."""

    event: ClassVar[str] = "worker.died"
    level: ClassVar[Level] = "error"
    slot: str
    incarnation: str
    cause: str
    how: str
    jobs: tuple[str, ...]
    tokens: tuple[int, ...] = ()
    restart_in: float


class WorkerKilled(Event, frozen=True, kw_only=True):
    """The supervisor kills a worker, and why."""

    event: ClassVar[str] = "worker.killed"
    level: ClassVar[Level] = "warning"
    slot: str
    incarnation: str
    cause: str
    jobs: tuple[str, ...]
    tokens: tuple[int, ...] = ()


class ForkFailed(Event, frozen=True, kw_only=True):
    """A worker could not be started. It is tried again."""

    event: ClassVar[str] = "fork.failed"
    level: ClassVar[Level] = "error"
    slot: str
    why: str
    retry_in: float


class StraysEnded(Event, frozen=True, kw_only=True):
    """Processes that tasks have started were ended: their worker is gone, or they had left it."""

    event: ClassVar[str] = "strays.ended"
    count: int
    names: tuple[str, ...]


class QueueGaveUp(Event, frozen=True, kw_only=True):
    """A queue's workers end one after another without having run a job: forks are probes from now on."""

    event: ClassVar[str] = "queue.gave_up"
    level: ClassVar[Level] = "error"
    queue: str
    failures: int
    cause: str
    retry_in: float
    hint: str = (
        "see worker.died above; what is mended is found by the next probe, or by jobd reload"
    )


class QueueRecovered(Event, frozen=True, kw_only=True):
    """A queue that was given up has a worker that runs jobs, or lasts."""

    event: ClassVar[str] = "queue.recovered"
    queue: str


# --- reloading ---


class ReloadBegun(Event, frozen=True, kw_only=True):
    """Configuration and code are being read again."""

    event: ClassVar[str] = "reload.begun"
    generation: int


class ReloadRefused(Event, frozen=True, kw_only=True):
    """Nothing was changed."""

    event: ClassVar[str] = "reload.refused"
    level: ClassVar[Level] = "error"
    why: str


class Reloaded(Event, frozen=True, kw_only=True):
    """New configuration and code are in force; so many workers are replaced one after another."""

    event: ClassVar[str] = "reload.in_force"
    generation: int
    kept: int
    replaced: int
    queues: tuple[str, ...]


class ReloadDone(Event, frozen=True, kw_only=True):
    """Every worker is of the generation's code and settings. Earlier ones may still end their jobs."""

    event: ClassVar[str] = "reload.done"
    generation: int


class HelperUnstarted(Event, frozen=True, kw_only=True):
    """The keeper or a preloader could not be started. It is tried again."""

    event: ClassVar[str] = "helper.unstarted"
    level: ClassVar[Level] = "error"
    helper: str
    why: str


class LookFailed(Event, frozen=True, kw_only=True):
    """The supervisor could not look at its workers: nobody is judged until it can again."""

    event: ClassVar[str] = "look.failed"
    level: ClassVar[Level] = "error"
    why: str
    hint: str = "raise LimitNOFILE of the service, or the machine's fs.file-max"


# --- the application ---


class AppLoaded(Event, frozen=True, kw_only=True):
    """A preloader has imported the application."""

    event: ClassVar[str] = "app.loaded"
    app: str
    queues: tuple[str, ...]


class AppFailed(Event, frozen=True, kw_only=True):
    """The application does not load."""

    event: ClassVar[str] = "app.failed"
    level: ClassVar[Level] = "error"
    why: str


class AppHasThreads(Event, frozen=True, kw_only=True):
    """The application started threads at import; they do not exist in forked workers."""

    event: ClassVar[str] = "app.has_threads"
    level: ClassVar[Level] = "warning"
    app: str
    threads: int
    hint: str = "start threads inside tasks, or set preload = false for the queue"


class AppIgnoresChildren(Event, frozen=True, kw_only=True):
    """The application ignored SIGCHLD at import: nobody, its own tasks neither, hears how a child ends."""

    event: ClassVar[str] = "app.ignores_children"
    level: ClassVar[Level] = "warning"
    app: str
    hint: str = (
        "set back to its default, for subprocess reads every exit code as 0 with it; drop that line"
    )


class NothingToServe(Event, frozen=True, kw_only=True):
    """The application declares no queue, and the configuration names none: there is nothing to do."""

    event: ClassVar[str] = "app.empty"
    level: ClassVar[Level] = "warning"
    app: str
    hint: str = "declare queues and tasks in the app's module, or import the modules that do"


class QueueScaled(Event, frozen=True, kw_only=True):
    """A queue has another number of processes from now on, and why."""

    event: ClassVar[str] = "queue.scaled"
    queue: str
    processes: int
    before: int
    why: str


class QueueAdded(Event, frozen=True, kw_only=True):
    """The application declares a queue that the configuration does not name."""

    event: ClassVar[str] = "queue.added"
    queue: str
    processes: int
