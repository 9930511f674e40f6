"""`python -m jobd.wiring.supervisor EFFECTIVE.json`: builds a supervisor and runs it.

Exit codes: 0 after a drain or a stop, 78 when the application does not load, 69 when another daemon
owns the runtime directory (the one EFFECTIVE.json lies in), 70 when a helper never comes up.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import setproctitle

from jobd.core import events
from jobd.core.config import Config
from jobd.core.errors import EX_CONFIG, EX_UNAVAILABLE, AlreadyRunning, ConfigError
from jobd.seams import host, lockfile, mark
from jobd.seams.log import Emit, Log, paragraph
from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.systemd import Notifier
from jobd.supervisor.build import build, cell_count, page_count
from jobd.supervisor.children import Children
from jobd.supervisor.fleet import Fleet, Helper
from jobd.supervisor.loop import WATCHED, Loop
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.predecessor import board_path, inherit


def main(argv: list[str]) -> int:
    """Run the daemon whose effective configuration is `argv[1]`."""
    path = Path(argv[1])
    try:
        config = msgspec.json.decode(path.read_bytes(), type=Config)
        return _supervise(config, path)
    except msgspec.MsgspecError as bad:
        paragraph(f"{path}: {bad}; expected what `jobd run` writes; start with `jobd run`")
        return EX_CONFIG
    except ConfigError as bad:
        paragraph(str(bad))
        return EX_CONFIG
    except AlreadyRunning as other:
        paragraph(str(other))
        return EX_UNAVAILABLE


def _supervise(config: Config, path: Path) -> int:
    setproctitle.setproctitle("jobd: supervisor")
    runtime_dir = path.parent.absolute()
    signals = host.Signals(WATCHED)
    # Helpers start with a clean mask, and nobody may be missed: SIGCHLD is blocked nowhere.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, WATCHED)
    lockfile.acquire(runtime_dir)
    host.become_subreaper()
    log = Log(style=config.daemon.log.format, level=config.daemon.log.level, role="supervisor")
    nonce = host.nonce()
    if not mark.possible():
        log(events.DaemonUnmarked())
    fleet, board = _fleet(config, runtime_dir, nonce, log)
    children = Children(
        mark=mark.Mark(nonce),
        workers=lambda: [(view.pid, view.start_ticks) for view in board.views()],
        emit=log,
    )
    loop = Loop(
        fleet=fleet,
        outlook=Outlook(board),
        children=children,
        signals=signals,
        argv_of={helper.name: _argv(helper, path, board) for helper in fleet.helpers.values()},
        runtime_dir=runtime_dir,
        notifier=Notifier(),
        emit=log,
    )
    code = loop.run()
    children.end_all()
    if not loop.fleet.dead:
        board.path.unlink(missing_ok=True)
    if code != 0:
        log.paragraph(f"jobd: {loop.fleet.last_error or 'a helper process does not start'}")
    return code


def _fleet(config: Config, runtime_dir: Path, nonce: str, emit: Emit) -> tuple[Fleet, Scoreboard]:
    path = board_path(runtime_dir, nonce)
    fleet = build(config, nonce=nonce, board=str(path), inherited=inherit(runtime_dir, emit=emit))
    pid = os.getpid()
    owner = Owner(nonce, pid, host.start_ticks(pid), host.boot_id())
    board = Scoreboard.create(
        path, owner=owner, pages=page_count(len(fleet.slots)), cells=cell_count(fleet)
    )
    emit(
        events.DaemonStarted(
            pid=pid, nonce=nonce, runtime_dir=str(runtime_dir), processes=len(fleet.slots)
        )
    )
    return fleet, board


def _argv(helper: Helper, path: Path, board: Scoreboard) -> list[str]:
    python = [sys.executable, "-m"]
    if helper.app is None:
        return [*python, "jobd.wiring.keeper", str(path), "{fd}", str(board.path)]
    argv = [*python, "jobd.wiring.preloader", str(path), "{fd}", helper.app]
    return argv if helper.preload else [*argv, "forks-only"]


if __name__ == "__main__":
    sys.exit(main(sys.argv))
