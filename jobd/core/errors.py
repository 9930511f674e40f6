"""Every error jobd raises, in one tree.

    JobdError
    ├── ConfigError             the file or the app cannot be used; carries all problems at once
    │   └── NotHere             ... for want of a variable or file that the daemon may well have
    ├── DeclarationError        a task or queue was declared in a way that cannot work
    ├── OptionError             an option that does not exist, or a value that makes no sense
    │   └── Absent              ... or one that is kept elsewhere, and not found there
    ├── TaskError
    │   ├── UnknownTask         no such task in this program
    │   ├── NotSerializable     arguments or result cannot become JSON
    │   ├── PayloadTooLarge     ... or become too much of it
    │   ├── ValueNotKept        a step (job.once) succeeded, and its value could not be recorded
    │   └── StaleRun            this run does not hold its job any more: it should stop
    ├── BrokerError
    │   ├── BrokerUnavailable   Redis did not answer; carries the job's id and whether it was added
    │   ├── StoreFull           Redis is at maxmemory: nothing was added
    │   ├── StoreUnusable       Redis answers, but cannot be used (no password, newer format)
    │   │   ├── OtherFormat     ... since its keys are not of a format that this version knows
    │   │   └── NotPermitted    ... since our user may not
    │   └── Fenced              this worker's lease was closed: it may not act again
    ├── ResultError
    │   ├── JobFailed           the job ended dead
    │   ├── JobCancelled        the job was cancelled
    │   ├── ResultGone          the record was removed by retention
    │   └── ResultTimeout       the job did not end in time
    ├── SoftTimeout             raised in a task that runs for longer than its soft_timeout
    └── HostError
        ├── AlreadyRunning      another daemon owns the runtime directory
        ├── NoDaemon            none runs in this runtime directory
        ├── DaemonSilent        the daemon did not answer in time
        └── DaemonRefused       it answered no; carries its word for why
            ├── DaemonHasNone   ... since it serves no such queue, or has no such worker
            ├── DaemonForbids   ... since this user may not ask
            └── OtherVersion    ... since it is of another version

What a task raises on purpose (Retry, Discard, Snooze, Throttle) is no error: see jobd.core.raised.

A message reads "what: value; expected ...; do this next". `code` is stable and meant for programs,
`exit_code` follows sysexits(3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

EX_USAGE = 64
EX_DATAERR = 65
EX_NOINPUT = 66
EX_UNAVAILABLE = 69
EX_SOFTWARE = 70
EX_TEMPFAIL = 75
EX_NOPERM = 77
EX_CONFIG = 78


class JobdError(Exception):
    """The root of everything jobd raises on purpose."""

    code: ClassVar[str] = "jobd.error"
    exit_code: ClassVar[int] = EX_SOFTWARE


class ConfigError(JobdError):
    """The configuration, or the application it names, cannot be used.

    `problems` holds one readable sentence for each thing that is wrong.
    """

    code = "jobd.config"
    exit_code = EX_CONFIG

    def __init__(self, problems: list[str] | str) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class NotHere(ConfigError):
    """Nothing is wrong with a file but that a variable or a file it names is not here.

    The daemon may have them where it runs. `absent` has the key paths, `rest` is what was read.
    """

    code = "jobd.not_here"

    def __init__(self, problems: list[str], absent: list[str], rest: Any) -> None:
        self.absent = absent
        self.rest = rest
        super().__init__(problems)


class DeclarationError(JobdError, TypeError):
    """A queue or task was declared in a way that cannot work."""

    code = "jobd.declaration"
    exit_code = EX_CONFIG


class OptionError(JobdError, ValueError):
    """An option is unknown or its value makes no sense."""

    code = "jobd.option"
    exit_code = EX_USAGE


class Absent(OptionError):
    """A value is kept elsewhere, in the environment or in a file, and is not there."""

    code = "jobd.absent"


class TaskError(JobdError):
    """Something about one task's name, arguments or result."""

    code = "jobd.task"


class UnknownTask(TaskError):
    """This program has declared no task of that name."""

    code = "jobd.unknown_task"
    exit_code = EX_USAGE


class NotSerializable(TaskError, TypeError):
    """Arguments or a result cannot be written as JSON."""

    code = "jobd.not_serializable"
    exit_code = EX_USAGE


class PayloadTooLarge(TaskError, ValueError):
    """Arguments or a result are larger than `max_payload` allows. Sizes are in bytes."""

    code = "jobd.payload_too_large"
    exit_code = EX_USAGE

    def __init__(self, what: str, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            f"{what}: {size} bytes as JSON; expected at most {limit}; "
            "store the data elsewhere (a file, an object store, a table) and pass its key"
        )


class ValueNotKept(TaskError, ValueError):
    """A step succeeded and its value could not be recorded. It does not run again, if that could be."""

    code = "jobd.value_not_kept"


class StaleRun(TaskError):
    """This run does not hold its job any more: another has it, or it has ended."""

    code = "jobd.stale_run"


class BrokerError(JobdError):
    """Something about the Redis server.

    Of an add that failed, `job_ids` are the jobs of the round trip that did, in their order; of an
    `add_many`, the first `added` jobs of the call are in, and what comes after these was not sent.
    `outcome_unknown` is true when what was asked for may have been carried out.
    """

    code = "jobd.broker"
    exit_code = EX_UNAVAILABLE
    job_ids: tuple[str, ...] = ()
    added: int = 0
    outcome_unknown: bool = False


class BrokerUnavailable(BrokerError):
    """Redis did not answer within the bound, or not with an answer of its own, or takes nothing just now.

    `job_id` is the job that was being added, if one was. `outcome_unknown` is true when the command
    may have been carried out: adding again with `using(job_id=...)` is safe either way; where that
    may begin an ended job anew (`on_duplicate="rerun_finished"`), with its `nonce`, too, which says
    that it is the same call. `nonces` has one for each of `job_ids`, or ''.
    """

    code = "jobd.broker_unavailable"

    def __init__(
        self,
        message: str,
        *,
        job_ids: Sequence[str] = (),
        nonces: Sequence[str] = (),
        outcome_unknown: bool = False,
    ) -> None:
        self.job_id = job_ids[0] if job_ids else None
        self.nonces = tuple(nonces)
        self.nonce = nonces[0] if nonces and nonces[0] else None
        self.job_ids = tuple(job_ids)
        self.outcome_unknown = outcome_unknown
        super().__init__(message)


class StoreFull(BrokerError):
    """Redis is at its maxmemory and refused to take a job. Nothing was added."""

    code = "jobd.store_full"


class StoreUnusable(BrokerError):
    """Redis answers but cannot be used for jobs: the message says why."""

    code = "jobd.store_unusable"


class OtherFormat(StoreUnusable):
    """The keys in Redis are not of a format that this version knows: nothing is begun there."""

    code = "jobd.other_format"


class NotPermitted(StoreUnusable):
    """Our user may not use a key or a command."""

    code = "jobd.not_permitted"
    exit_code = EX_NOPERM


class Fenced(BrokerError):
    """The lease of this worker incarnation is closed or gone: it may not act again."""

    code = "jobd.fenced"
    exit_code = EX_SOFTWARE


class ResultError(JobdError):
    """A result that was asked for cannot be had."""

    code = "jobd.result"

    def __init__(self, message: str, *, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(message)


class JobFailed(ResultError):
    """The job ended dead. `cause` is one of the words of `jobd.core.states.DEAD_CAUSES`."""

    code = "jobd.job_failed"

    def __init__(self, message: str, *, job_id: str, cause: str, error: str | None) -> None:
        self.cause = cause
        self.error = error
        super().__init__(message, job_id=job_id)


class JobCancelled(ResultError):
    """The job was cancelled."""

    code = "jobd.job_cancelled"


class ResultGone(ResultError):
    """The job's record is no longer kept."""

    code = "jobd.result_gone"


class ResultTimeout(ResultError, TimeoutError):
    """The job did not end within the timeout; it goes on."""

    code = "jobd.result_timeout"


class SoftTimeout(JobdError, TimeoutError):
    """The run is longer than the task's `soft_timeout`: raised in the task itself."""

    code = "jobd.soft_timeout"

    def __init__(self, message: str = "the run is longer than its soft_timeout") -> None:
        super().__init__(message)


class HostError(JobdError):
    """Something about the machine the daemon runs on."""

    code = "jobd.host"


class AlreadyRunning(HostError):
    """Another daemon owns the runtime directory."""

    code = "jobd.already_running"
    exit_code = EX_UNAVAILABLE


class TooManyOrders(HostError):
    """The host has not taken what it was asked for before."""

    code = "jobd.too_many_orders"
    exit_code = EX_TEMPFAIL


class NoDaemon(HostError):
    """No daemon runs in this runtime directory."""

    code = "jobd.no_daemon"
    exit_code = EX_UNAVAILABLE


class DaemonSilent(HostError):
    """The daemon did not answer in time, or ended before it answered."""

    code = "jobd.daemon_silent"
    exit_code = EX_TEMPFAIL


class DaemonRefused(HostError):
    """The daemon did not do what it was asked. `reason` is its word for why."""

    code = "jobd.daemon_refused"
    exit_code = EX_CONFIG

    def __init__(self, message: str, *, reason: str) -> None:
        self.reason = reason
        super().__init__(message)


class DaemonHasNone(DaemonRefused):
    """The daemon serves no such queue, or has no such worker. Its `code` is that of any refusal."""

    exit_code = EX_NOINPUT


class DaemonForbids(DaemonRefused):
    """This user may not ask that daemon."""

    code = "jobd.daemon_forbids"
    exit_code = EX_NOPERM


class OtherVersion(DaemonRefused):
    """The daemon is of another version and does not know the request, or we not its answer."""

    code = "jobd.other_version"
