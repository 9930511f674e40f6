"""Where the threads of a process are: asked for from outside, answered even while the GIL is held.

Every process of ours below the supervisor calls `arm`: from then on a signal makes Python's faulthandler
write the stacks of all threads into a piece of memory that has a name in /proc. Whoever may read the
process may ask (`Asked`): it opens that memory, sends the signal and reads what comes. It stays readable
when the process has been killed meanwhile.

The signal is a real-time one, so a task that handles SIGUSR1 for itself is not in the way. Nobody is
signalled who would end by it: whoever does not catch it, or has closed that memory - a task that closes
every descriptor - is not asked, for the number may be another file by then.

Linux only.
"""

from __future__ import annotations

import faulthandler
import fcntl
import os
import signal
from pathlib import Path

from jobd.seams import host

SIGNAL = signal.SIGRTMIN + 11
MOST = 16 << 10
"""How much of the stacks is kept, in bytes."""
SHOWN = 100
"""How many threads faulthandler writes, the newest first; then it writes `...` and stops."""

_NAME = "jobd-stacks"
_LINK = f"/memfd:{_NAME}"
_CUT = "\n  ... cut ...\n"
_memory = -1


def arm() -> None:
    """Let this process be asked. Called again after a fork: what a child writes is its own."""
    global _memory
    old, _memory = _memory, os.memfd_create(_NAME)
    # Appended, so that whoever has read the last answer may cut it off.
    fcntl.fcntl(_memory, fcntl.F_SETFL, fcntl.fcntl(_memory, fcntl.F_GETFL) | os.O_APPEND)
    faulthandler.register(SIGNAL, file=_memory, all_threads=True, chain=False)
    # Of a crash the stacks go where its last words go; so do those a person asks for by SIGUSR1, which
    # would otherwise end the process.
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True, chain=False)
    if old >= 0:
        os.close(old)


def rearm() -> None:
    """Let this process be asked again, after somebody has had the signals for himself.

    They have handlers that Python does not know of, and faulthandler does not look whether its own are
    still in place: only what was taken back is put in place anew.
    """
    for number in (SIGNAL, signal.SIGUSR1):
        faulthandler.unregister(number)
    arm()


def own() -> str:
    """Tell where the threads of this very process are."""
    memory = os.memfd_create(_NAME)
    try:
        faulthandler.dump_traceback(file=memory, all_threads=True)
        return _with_the_rest(_read(memory), os.getpid())
    finally:
        os.close(memory)


class Asked:
    """A process that was asked for its stacks. `pidfd` names it."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self._pid = pid
        self._memory = _find(pid)
        self._deaf = _blocking(pid)
        self.lacking = ""
        """Why there will be no answer, if that is known."""
        if self._memory < 0:
            self.lacking = "it has not begun to listen, or has closed what it would answer with"
        elif not _catches(pid):
            self.lacking = "it does not catch the signal any more"
        else:
            os.ftruncate(self._memory, 0)
            if not host.send(pidfd, SIGNAL):
                self.lacking = "it has ended"

    def answered(self) -> bool:
        """Tell whether the answer is whole: it is there, and nobody is at it any more.

        While a thread writes it, the kernel blocks the signal for that thread. How long it takes says
        nothing: on a busy machine the writer stops for longer than we wait between two looks. Threads that
        blocked the signal before it was sent do so for themselves.
        """
        there = self._memory >= 0 and os.fstat(self._memory).st_size > 0
        return there and _blocking(self._pid) <= self._deaf

    def text(self) -> str:
        """Give what has come, `MOST` bytes at the most, and let go of it."""
        if self._memory < 0:
            return ""
        raw = _read(self._memory)
        self.close()
        return _with_the_rest(raw, self._pid)

    def where(self) -> str:
        """Say what the system tells of a process that does not answer."""
        found = host.stat(self._pid)
        if found is None:
            return "it has ended"
        try:
            waits = Path(f"/proc/{self._pid}/wchan").read_text() or "0"
        except OSError:
            waits = "0"
        inside = "" if waits == "0" else f", in {waits} of the kernel"
        return f"it is in state {found.state}{inside}"

    def close(self) -> None:
        """Let go of the memory."""
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1


def _read(memory: int) -> str:
    size = os.fstat(memory).st_size
    if size <= MOST:
        return os.pread(memory, MOST, 0).decode("utf-8", "replace")
    # The oldest threads come last, and the main thread is the oldest.
    head = os.pread(memory, MOST // 2, 0).decode("utf-8", "replace")
    tail = os.pread(memory, MOST // 2, size - MOST // 2).decode("utf-8", "replace")
    return head + _CUT + tail


def _with_the_rest(raw: str, pid: int) -> str:
    """Say how many threads are not shown, where faulthandler has stopped before the last of them."""
    shown = raw.strip()
    if not shown.endswith("\n\n..."):
        return shown
    # The system counts threads that Python knows nothing of, too.
    found = _field(Path(f"/proc/{pid}"), "Threads:", otherwise="")
    more = f"up to {int(found) - SHOWN}" if found else "an unknown number of"
    return (
        f"{shown} {more} threads more, the oldest, the main thread among them: "
        f"faulthandler writes {SHOWN}"
    )


def _find(pid: int) -> int:
    """Open the memory that a process answers with; -1 when it has none, or may not be read."""
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            if _points(entry):
                return os.open(entry, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return -1
    return -1


def _points(entry: Path) -> bool:
    try:
        return str(entry.readlink()).startswith(_LINK)
    except OSError:
        return False  # closed since the directory was read


def _catches(pid: int) -> bool:
    return _has(Path(f"/proc/{pid}"), "SigCgt:")


def _blocking(pid: int) -> set[str]:
    """Find the threads of a process that the signal cannot reach just now."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return set()  # it has ended
    return {thread.name for thread in threads if _has(thread, "SigBlk:")}


def _has(process: Path, field: str) -> bool:
    """Tell whether our signal is in a set of signals that the kernel keeps of a process or a thread."""
    return bool(int(_field(process, field, otherwise="0"), 16) >> (SIGNAL - 1) & 1)


def _field(process: Path, name: str, *, otherwise: str) -> str:
    """Read what the kernel says of a process or a thread by that name."""
    try:
        status = (process / "status").read_text()
    except OSError:
        return otherwise  # it has ended
    lines = (line.split() for line in status.splitlines() if line.startswith(name))
    return next((line[1] for line in lines), otherwise)
