"""The command `jobd`: its table of commands, and how failures reach people and scripts.

Invariant: whatever is raised on purpose becomes one readable paragraph on stderr and a code of
sysexits(3); a traceback is a bug of jobd, and 70. Commands are imported when called.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence

import click

import jobd
from jobd.cli.lazy import Entry, LazyGroup, Unread, Verbs
from jobd.cli.mistakes import in_our_words
from jobd.core.errors import EX_SOFTWARE, EX_USAGE, ConfigError, JobdError
from jobd.seams.sigpipe import die_of_pipe

_INTERRUPTED = 130
_EX_IOERR = 74
_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)

_TABLE: dict[str, Entry | Verbs] = {
    "run": Entry("jobd.cli.run", "Run the daemon in the foreground."),
    "dev": Entry("jobd.cli.dev", "Run an app with no config and no Redis of its own."),
    "demo": Entry("jobd.cli.demo", "Run the example shop on real work."),
    "init": Entry("jobd.cli.init", "Write a commented jobd.toml."),
    "check": Entry("jobd.cli.check", "Check the config and import the app."),
    "config": Verbs(
        "Look at the configuration.",
        {"show": Entry("jobd.cli.config_show", "Show what holds, and where it comes from.")},
    ),
    "enqueue": Entry("jobd.cli.enqueue", "Add a job by its task's name."),
    "why": Entry("jobd.cli.why", "Say why a job has not run, and when it will."),
    "status": Entry("jobd.cli.status", "Show the daemon of this host, its workers and queues."),
    "top": Entry("jobd.cli.top", "The same, live."),
    "doctor": Entry("jobd.cli.doctor", "Look for what is wrong, and say what to do."),
    "reload": Entry("jobd.cli.reload", "Let the daemon read its config and code again."),
    "stop": Entry("jobd.cli.stop", "Let the daemon drain and end."),
    "scale": Entry("jobd.cli.scale", "Run more or fewer processes of a queue."),
    "recycle": Entry("jobd.cli.recycle", "Replace workers by hand."),
    "dump": Entry("jobd.cli.dump", "Write the stacks of workers to the log."),
    "queues": Verbs(
        "Look at queues, pause and resume them, wait for them, empty them.",
        {
            "list": Entry("jobd.cli.queues_list", "List queues with their counts."),
            "pause": Entry("jobd.cli.queues_pause", "Let nothing more of a queue begin."),
            "resume": Entry("jobd.cli.queues_resume", "Let a queue, or a task of it, go on."),
            "drain": Entry("jobd.cli.queues_drain", "Wait until all that waits has run."),
            "purge": Entry("jobd.cli.queues_purge", "Remove all that waits."),
        },
    ),
    "schedules": Verbs(
        "Look at schedules, run, pause and resume them.",
        {
            "list": Entry("jobd.cli.schedules_list", "List schedules: when they fire."),
            "preview": Entry("jobd.cli.schedules_preview", "Show the next runs."),
            "run": Entry("jobd.cli.schedules_run", "Add a schedule's job now."),
            "pause": Entry("jobd.cli.schedules_pause", "Fire a schedule no more for now."),
            "resume": Entry("jobd.cli.schedules_resume", "Fire a paused schedule again."),
            "remove": Entry("jobd.cli.schedules_remove", "Take a schedule away."),
        },
    ),
    "jobs": Verbs(
        "Look at jobs, retry, cancel and delete them.",
        {
            "list": Entry("jobd.cli.jobs_list", "List jobs, by queue and state."),
            "show": Entry("jobd.cli.jobs_show", "Show everything recorded about a job."),
            "retry": Entry("jobd.cli.jobs_retry", "Put dead jobs back in line."),
            "cancel": Entry("jobd.cli.jobs_cancel", "Cancel jobs, also running ones."),
            "delete": Entry("jobd.cli.jobs_delete", "Delete jobs that have ended."),
            "run-now": Entry("jobd.cli.jobs_run_now", "Let delayed jobs run now."),
        },
    ),
    "alerts": Verbs(
        "Look at alert rules, mute them, try whether sinks are reached.",
        {
            "list": Entry("jobd.cli.alerts_list", "List rules, and what they see."),
            "history": Entry("jobd.cli.alerts_history", "Show what rules went through."),
            "test": Entry("jobd.cli.alerts_test", "Send a test notification to each sink."),
            "mute": Entry("jobd.cli.alerts_mute", "Let a rule tell nobody for a while."),
            "unmute": Entry("jobd.cli.alerts_unmute", "Let a muted rule tell again."),
        },
    ),
    "hash-password": Entry("jobd.cli.hash_password", "Hash a password for the dashboard."),
    "completion": Entry("jobd.cli.completion", "Print what completes this command in a shell."),
}

cli = LazyGroup(
    name="jobd",
    help="Background jobs for Python on Redis: nothing lost, supervised, fast.",
    table=_TABLE,
    more="Begin with `jobd dev MODULE:APP`: it runs an app at once, with a Redis of its own. `jobd init`, `jobd "
    "check` and `jobd run` make a service of it. Each command has a --help.",
)
click.version_option(jobd.__version__, prog_name="jobd")(cli)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; give the exit code."""
    _open_closed_streams()
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        result = cli.main(args=arguments, prog_name="jobd", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        in_our_words(error).show()
        return EX_USAGE
    except click.ClickException as error:
        error.show()
        return EX_SOFTWARE
    except ConfigError as error:
        for problem in error.problems:
            click.echo(f"jobd: {problem}", err=True)
        return error.exit_code
    except JobdError as error:
        click.echo(f"jobd: {error}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except (Unread, BrokenPipeError):
        return _unread()
    except Exception as mistake:  # noqa: BLE001 - nothing was raised on purpose: a mistake of ours
        return _unforeseen(mistake)


def _unread() -> int:
    """The reader (head, less) has seen enough. Scripts tell that from an end by the signal."""
    _drop_output()
    die_of_pipe()
    return _EX_IOERR  # who traces us may keep the signal from us


def _unforeseen(mistake: Exception) -> int:
    if isinstance(mistake, OSError) and mistake.errno in _UNWRITABLE:
        _drop_output()
        click.echo(
            f"jobd: standard output: {mistake.strerror}; expected room for what was asked for; "
            "send it elsewhere",
            err=True,
        )
        return _EX_IOERR
    traceback.print_exception(mistake)
    click.echo("jobd: the above is a mistake of jobd; please report it", err=True)
    return EX_SOFTWARE


def _open_closed_streams() -> None:
    """Make what was closed before we started (`>&-`) /dev/null: Python has None there, and the
    next file that anybody opens would get its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null == number:
                os.set_inheritable(number, True)  # for the daemon's processes
            else:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


def _drop_output() -> None:
    """Send what is still buffered nowhere, or Python complains of it when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
