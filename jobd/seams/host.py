"""Processes: fork, wait, kill, signals, and what /proc tells. The only place where jobd does them.

Invariants: a signal goes only to a process that a pidfd names, so never to a stranger that got the
same number; "alive" means "its pidfd is not readable", nothing else; fork happens with one thread
and with signals blocked, and the child starts with default handlers and no wake-up descriptor.

Linux only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from jobd.core.errors import HostError
from jobd.seams import logstream, prctl, stdio
from jobd.seams.clock import since_boot
from jobd.seams.exits import Exit


class ProcessStat(NamedTuple):
    """What /proc/PID/stat says: state letter, parent, session, start in clock ticks since boot."""

    state: str
    parent: int
    session: int
    start_ticks: int


# --- this process ---


def become_subreaper() -> None:
    """Adopt orphaned descendants, so that they can be waited for. Raises OSError."""
    prctl.write(prctl.SUBREAPER, 1)


def die_with_parent(parent: int, signum: int = signal.SIGKILL) -> bool:
    """Have the kernel end this process when its parent ends. False when it is gone already.

    Raises OSError.
    """
    prctl.write(prctl.DEATH_SIGNAL, signum)
    return os.getppid() == parent


def boot_id() -> str:
    """Name this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def nonce() -> str:
    """Draw 64 random bits, as 16 hexadecimal digits."""
    return os.urandom(8).hex()


def hurry() -> None:
    """Go before others who want the processor, where that is allowed."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


# --- fork ---


def fork() -> int:
    """Fork: 0 in the child, which has default signal handlers and nothing blocked.

    Raises HostError when this process has more than one thread, OSError when the system refuses.
    """
    if (threads := thread_count()) != 1:
        raise HostError(f"fork: {threads} threads run here; expected 1; fork before starting any")
    return fork_anyway()


def fork_anyway() -> int:
    """Fork without looking at threads, for a preloader whose application started some."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _forget_signals()
            before = set()
        return pid
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    # Python programs expect a vanished reader, or a full disk, as an error of write: those two stay.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) not in (signal.SIG_DFL, None):
            _default(number)


def ignore_signals() -> None:
    """Ignore whatever can be ignored: only SIGKILL ends this process from now on."""
    for number in signal.valid_signals():
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:  # KILL, STOP and the C library's own
            continue


def _default(number: int) -> None:
    try:
        signal.signal(number, signal.SIG_DFL)
    except OSError:
        # KILL, STOP and the C library's own real-time signals have no handler to reset.
        return


class Copies:
    """Tells a process from the copies of it that somebody else's fork makes from now on."""

    def __init__(self, then: Callable[[], None] = lambda: None) -> None:
        """`then` is called in each of them before anything else."""
        self.here = False
        """This is such a copy."""
        self._then = then
        os.register_at_fork(after_in_child=self._mark)

    def _mark(self) -> None:
        self.here = True
        self._then()


def spawn(
    argv: Sequence[str],
    *,
    keep: Iterable[int] = (),
    output: int | None = None,
    first: Callable[[], None] = lambda: None,
) -> int:
    """Start a program that dies with this one, in a session of its own; give its pid.

    It gets 0 (/dev/null), 1, 2 and the descriptors of `keep`, nothing else; with `output`, that as 1 and
    2, and ours as its log's. `first` is called in it, before it becomes the program. Raises as `fork`.
    """
    parent = os.getpid()
    pid = fork()
    if pid == 0:
        _become(argv, parent, {*keep}, output, first)
    return pid


def _become(
    argv: Sequence[str], parent: int, keep: set[int], output: int | None, first: Callable[[], None]
) -> NoReturn:
    try:
        os.setsid()
        if die_with_parent(parent):
            first()
            null_stdin()
            if output is not None:
                keep.add(logstream.hand_on())
                stdio.redirect(output)
            close_all_but({0, 1, 2, *keep})
            for fd in keep:
                os.set_inheritable(fd, True)
            os.execv(argv[0], list(argv))  # noqa: S606 - no shell on purpose
    except OSError as refused:
        os.write(2, f"jobd: cannot start {argv!r}: {refused}\n".encode())
    os._exit(71)


def null_stdin() -> None:
    """Make standard input /dev/null."""
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.close(null)


def close_all_but(keep: Iterable[int]) -> None:
    """Close every descriptor that is not in `keep`."""
    kept = set(keep)
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:  # noqa: PTH208 - after fork
        if fd not in kept:
            with contextlib.suppress(OSError):  # the listing's own descriptor is closed already
                os.close(fd)


def handles_left(count: int) -> bool:
    """Tell whether so many more file handles can be had."""
    opened: list[int] = []
    try:
        while len(opened) < count:
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    finally:
        for fd in opened:
            os.close(fd)
    return True


def is_out_of_handles(error: OSError) -> bool:
    """Tell whether a call failed because this process, or the machine, has no file handle left."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


# --- other processes ---


def open_pid(pid: int) -> int | None:
    """Open a pidfd, or give None when there is no such process (not even a zombie)."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def send(pidfd: int, signum: int) -> bool:
    """Signal the process a pidfd names. False when it has ended."""
    try:
        signal.pidfd_send_signal(pidfd, signum)
    except ProcessLookupError:
        return False
    return True


def ended(pidfd: int, timeout: float | None = 0.0) -> bool:
    """Tell whether the process has ended, waiting up to `timeout` seconds for it; None: for good."""
    waiting = select.poll()
    waiting.register(pidfd, select.POLLIN)
    return bool(waiting.poll(None if timeout is None else timeout * 1000))


def kill_group(pid: int) -> None:
    """SIGKILL the process group that a child of ours leads, which may have ended.

    Call it before the child is reaped: until then nobody else can get the number.
    """
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # It leads none (yet), or all that is left of it is one of another user.
        return


def reap(pidfd: int) -> Exit | None:
    """Collect how a child ended; None while it runs. A child that is not ours ended unknown."""
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return Exit()
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return Exit(code=result.si_status)
    return Exit(signal=result.si_status)


def wait_for(pid: int) -> None:
    """Wait for a child's end; one that the system collected itself has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def mind_children() -> bool:
    """Set SIGCHLD back to its default where it is ignored; say whether it was.

    While it is, the system collects children by itself, and how they ended is lost.
    """
    ignored = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    if ignored:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return ignored


def children() -> list[int]:
    """List the pids of this process' children, adopted ones and zombies included."""
    pid = os.getpid()
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        # A kernel without CONFIG_PROC_CHILDREN: strays then stay until the daemon ends.
        return []


def reap_stray(pid: int) -> None:
    """Collect a child nobody waits for, if it is a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def stat(pid: int) -> ProcessStat | None:
    """Read /proc/PID/stat; None when there is no such process."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold anything, also spaces and parentheses.
    fields = raw[raw.rindex(b")") + 2 :].split()
    return ProcessStat(fields[0].decode(), int(fields[1]), int(fields[3]), int(fields[19]))


def name_of(pid: int) -> str:
    """Give what a process calls itself, at most 15 bytes; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_bytes().decode("utf-8", "replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_tracker(pid: int) -> bool:
    """Say whether this is what multiprocessing leaves to remove shared memory, once its owner is gone."""
    try:
        return b"multiprocessing.resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def running_for(pid: int) -> float:
    """Tell for how many seconds a process has run; no clock that people set has a part in it."""
    return since_boot() - start_ticks(pid) / os.sysconf("SC_CLK_TCK")


def start_ticks(pid: int) -> int:
    """Give a process' start, in clock ticks since boot; 0 when there is no such process."""
    found = stat(pid)
    return 0 if found is None else found.start_ticks


def thread_count() -> int:
    """Count the threads of this process, those that Python does not know of included."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - called around fork, kept bare


def end_for_certain(pid: int, ticks: int, *, within: float) -> bool:
    """Kill the process of this pid and start, if it still runs; True when it is certainly gone.

    Raises PermissionError when it belongs to somebody else.
    """
    pidfd = open_pid(pid) if pid > 0 else None
    if pidfd is None:
        return True
    try:
        # Looked at after opening: the pidfd names the process whose start is read here, or a dead
        # one whose number was taken since, and then the signal reaches nobody.
        found = stat(pid)
        if found is None or found.start_ticks != ticks or found.state == "Z":
            return True
        send(pidfd, signal.SIGKILL)
        return ended(pidfd, within)
    finally:
        os.close(pidfd)


# --- signals ---


# A signal may come as the process ends, when who made one has forgotten it; and in a fork its
# descriptors' numbers may be others' by now: so none is ever closed. A process makes one, or two.
_kept: list[Signals] = []


class Signals:
    """Signals as data: handlers only enqueue. Watch `fileno()` for reading, then `take()`."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        _kept.append(self)
        for number in numbers:
            signal.signal(number, _enqueued)

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[int]:
        """Take what has come, in order."""
        try:
            return list(self._reader.recv(4096))
        except OSError as nothing:
            if nothing.errno in (errno.EAGAIN, errno.EINTR):
                return []
            raise


def _enqueued(_number: int, _frame: object) -> None:
    """Do nothing: Python has written the number to the wake-up descriptor."""
