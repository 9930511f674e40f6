"""`python -m jobd.wiring.supervisor EFFECTIVE.json [READER...]`: builds a supervisor and runs it.

READER is the command that reads the configuration anew for a reload: it is given a descriptor and the
file to write, and says on the descriptor whether it did (jobd.cli.effective). Exit codes: 0 after a drain or a stop, 78 when the application does not load, 69 when another daemon
owns the runtime directory (the one EFFECTIVE.json lies in), 70 when a helper never comes up.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import assert_never

import msgspec
import setproctitle

from jobd.core import events
from jobd.core.config import Config
from jobd.core.errors import EX_CONFIG, EX_UNAVAILABLE, AlreadyRunning, ConfigError
from jobd.core.options import MOST_CONCURRENCY
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.seams import descriptors, host, listening, lockfile, mark, workdir
from jobd.seams.control import Control
from jobd.seams.log import Emit, Log, paragraph
from jobd.seams.logstream import of_process
from jobd.seams.program import python_module
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.systemd import Notifier
from jobd.supervisor.build import build, page_count, plan
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet, Helper, Plan, Role
from jobd.supervisor.loop import Loop
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.predecessor import board_path, exits_before, inherit
from jobd.supervisor.signalled import WATCHED

# How long a log that nobody reads may hold supervision up, once; then records are lost instead.
_PATIENCE = 0.02
# The log is kept at a number beyond 200, out of the way of what others open (jobd.seams.logstream).
_FEWEST_FILES = 256


def main(argv: list[str]) -> int:
    """Run the daemon whose effective configuration is `argv[1]`."""
    path = Path(argv[1])
    try:
        config = msgspec.json.decode(path.read_bytes(), type=Config)
        return _supervise(config, path, argv[2:])
    except UNREADABLE_JSON as bad:
        paragraph(f"{path}: {bad}; expected what `jobd run` writes; start with `jobd run`")
        return EX_CONFIG
    except ConfigError as bad:
        paragraph(str(bad))
        return EX_CONFIG
    except AlreadyRunning as other:
        paragraph(str(other))
        return EX_UNAVAILABLE


def _supervise(config: Config, path: Path, reader: list[str]) -> int:
    setproctitle.setproctitle("jobd: supervisor")
    descriptors.require(_FEWEST_FILES)
    runtime_dir = path.parent.absolute()
    where = workdir.named()
    signals = host.Signals(WATCHED)
    # Helpers start with a clean mask, and nobody may be missed: SIGCHLD is blocked nowhere.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
    lockfile.acquire(runtime_dir)
    host.become_subreaper()
    said = config.daemon.log
    activated = listening.are_activated()
    sockets = listening.inherited()
    log = Log(
        style=said.format, level=said.level, role="supervisor", fd=of_process(), patience=_PATIENCE
    )
    control = _control(runtime_dir)
    nonce = host.nonce()
    if not mark.possible():
        log(events.DaemonUnmarked())
    fleet, board = _fleet(config, runtime_dir, nonce, log, sockets=bool(sockets))
    children = Children(
        mark=mark.Mark(nonce),
        where=where,
        workers=lambda: [(view.pid, view.start_ticks) for view in board.views()],
        emit=log,
    )
    loop = Loop(
        fleet=fleet,
        outlook=Outlook(board),
        outlets=Outlets(workers=log.of("worker"), helpers=log.of("helper")),
        children=children,
        signals=signals,
        control=control,
        configuration=Files(
            path, board.path, reader, sockets, None if activated else config.web.bind
        ),
        runtime_dir=runtime_dir,
        where=where,
        notifier=Notifier(),
        emit=log,
    )
    try:
        code = loop.run()
        children.end_all()
    finally:
        control.close()
    if not loop.fleet.dead:
        board.path.unlink(missing_ok=True)
    if code != 0:
        why = loop.fleet.last_error or "a helper process does not start"
        log.paragraph(events.DaemonFailed(why=why))
    return code


def _fleet(
    config: Config, runtime_dir: Path, nonce: str, emit: Emit, *, sockets: bool
) -> tuple[Fleet, Scoreboard]:
    path = board_path(runtime_dir, nonce)
    inherited = inherit(runtime_dir, emit=emit)
    fleet = build(
        config,
        nonce=nonce,
        board=str(path),
        inherited=inherited,
        exits=exits_before(runtime_dir),
        sockets=sockets,
    )
    pid = os.getpid()
    owner = Owner(nonce, pid, host.start_ticks(pid), host.boot_id())
    slots = sum(queue.target for queue in fleet.queues.values())
    # As large as any queue's processes may become by a reload: the file holds what is used.
    try:
        board = Scoreboard.create(
            path, owner=owner, pages=page_count(slots), cells=MOST_CONCURRENCY
        )
    except OSError as refused:
        raise ConfigError(
            f"daemon.runtime_dir: {runtime_dir}: {refused.strerror}; expected room for the scoreboard, "
            "about 2 MB; free some there, or name another directory"
        ) from refused
    emit(events.DaemonStarted(pid=pid, nonce=nonce, runtime_dir=str(runtime_dir), processes=slots))
    return fleet, board


def _control(runtime_dir: Path) -> Control:
    try:
        return Control.listen(runtime_dir)
    except OSError as refused:
        raise ConfigError(
            f"daemon.runtime_dir: {runtime_dir}: no socket can be made there: {refused.strerror}; "
            "expected a local file system with room; name another directory"
        ) from refused


class Files:
    """The configuration's files in the runtime directory: EFFECTIVE.json, and beside it a reload's.

    And the sockets that go with it: an address that a reload changes is opened by its reader.
    """

    def __init__(
        self,
        path: Path,
        board: Path,
        reader: list[str],
        sockets: list[int],
        bind: str | None,
    ) -> None:
        """`bind`: the address that `sockets` listen at; None when systemd has opened them."""
        self._sockets = sockets
        self._activated = bool(sockets) and bind is None
        self._bind = self._next_bind = bind
        self._offered: list[int] = []
        self._path = path
        self._next = path.with_suffix(".next.json")
        self._board = board
        self._reader = reader

    def argv(self, helper: Helper) -> list[str]:
        """Give a helper's command line, `{fd}` standing for its channel."""
        path = self._next if helper.fresh else self._path
        match helper.role:
            case Role.KEEPER:
                return [*python_module("jobd.wiring.keeper"), str(path), "{fd}", str(self._board)]
            case Role.READER:
                reader = self._reader or [*python_module("jobd.wiring.reader"), str(self._path)]
                return [*reader, "{fd}", str(self._next)]
            case Role.PRELOADER:
                program = python_module("jobd.wiring.preloader")
                argv = [*program, str(path), "{fd}", helper.app or ""]
                return argv if helper.preload else [*argv, "forks-only"]
            case Role.WEB:
                inherited = [str(fd) for fd in self._sockets]
                argv = [*python_module("jobd.wiring.web"), str(path), "{fd}", str(self._board)]
                return [*argv, *inherited]
            case Role.ALERTER:
                return [*python_module("jobd.wiring.alerter"), str(path), "{fd}", str(self._board)]
            case _:
                assert_never(helper.role)

    def keep(self, helper: Helper) -> list[int]:
        """List the descriptors a helper is to inherit, beside its channel."""
        return self._sockets if helper.role is Role.WEB else []

    def offer(self, sockets: list[int]) -> None:
        """Take over the sockets that a reload's reader has opened; they serve when it is adopted.

        Those of a reload that was refused are closed: its address is free for the next one.
        """
        for fd in self._offered:
            os.close(fd)
        self._offered = sockets

    def plan(self, attempt: int) -> Plan:
        """Read what the reader of a reload has laid down. Raises ConfigError, OSError."""
        try:
            config = msgspec.json.decode(self._next.read_bytes(), type=Config)
        except UNREADABLE_JSON as bad:
            raise ConfigError(f"{self._next}: {bad}; expected what `jobd run` writes") from bad
        self._next_bind = self._bind if self._activated else config.web.bind
        sockets = self._sockets if self._next_bind == self._bind else self._offered
        return plan(config, attempt, sockets=bool(sockets))

    def adopt(self) -> None:
        """Put that in force."""
        self._next.replace(self._path)
        if self._next_bind != self._bind:
            self._bind = self._next_bind
            for fd in self._sockets:
                os.close(fd)
            self._sockets, self._offered = self._offered, []


if __name__ == "__main__":
    sys.exit(main(sys.argv))
