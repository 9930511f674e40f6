"""`python -m jobd.wiring.alerter EFFECTIVE.json FD SCOREBOARD`: builds the alerter process."""

from __future__ import annotations

import hashlib
import signal
import sys
from pathlib import Path

import msgspec
from setproctitle import setproctitle

from jobd.alerter.charge import Identity
from jobd.alerter.deliver import Deliverer
from jobd.alerter.facts import Gatherer
from jobd.alerter.heartbeat import Heartbeat, daemon_is_well
from jobd.alerter.local import LocalWatch
from jobd.alerter.loop import Alerter, Part
from jobd.alerter.memory import Memory
from jobd.alerter.shared import Known, Shared
from jobd.alerter.sight import Sight
from jobd.broker.alert_loads import LoadStore
from jobd.broker.alert_outbox import RedisOutbox
from jobd.broker.alerts import AlertStore
from jobd.broker.connection import connect
from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.machine import Spans
from jobd.core.config import Config
from jobd.seams import alert_outbox, stacks
from jobd.seams.clock import wall
from jobd.seams.host import Signals
from jobd.seams.hostname import host_name
from jobd.seams.lines import Lines
from jobd.seams.log import Log, for_threads
from jobd.seams.logstream import of_process
from jobd.seams.service import Attendance

# An evaluation asks a few times; each may take so long, in seconds.
PATIENCE = 2.0
# What is waited for in numbers of evaluations: to be clear, and before nothing heard is a bad sign.
_CLEAR, _GAP, _SILENT = 5, 15, 3


def spans_of(every: float) -> Spans:
    """Give the machine's patience: at the usual 2 s ten seconds clear, and half a minute of a gap."""
    return Spans(clear_for=round(_CLEAR * every * 1000), gap=round(_GAP * every * 1000))


def identity(effective: Path) -> Identity:
    """Say who a daemon is by its place, and how long ago it loaded what it runs with."""
    host = host_name()
    place = f"{host}\n{effective.parent.absolute()}".encode("utf-8", "surrogateescape")
    age = max(0.0, wall() - effective.stat().st_mtime)
    return Identity(owner=hashlib.sha256(place).hexdigest()[:16], host=host, age=age)


def main(argv: list[str]) -> int:
    """Build the objects and run them."""
    setproctitle("jobd: alerter")
    stacks.arm()
    signals = Signals([signal.SIGTERM, signal.SIGINT])
    effective = Path(argv[1])
    config = msgspec.json.decode(effective.read_bytes(), type=Config)
    alerts, namespace, runtime_dir = config.alerts, config.redis.namespace, effective.parent
    said = config.daemon.log
    emit = for_threads(Log(style=said.format, level=said.level, role="alerter", fd=of_process()))
    attendance = Attendance(Lines.from_fd(int(argv[2])))
    file_outbox = alert_outbox.FileOutbox(runtime_dir / alert_outbox.NAME, emit=emit)
    # Sinks have a client of their own: a reply that one thread waits for holds up no other.
    redis_outbox = RedisOutbox(connect(config.redis.url, timeout=PATIENCE), namespace)
    memory = Memory()
    deliverer = Deliverer(alerts.sinks, [file_outbox, redis_outbox], emit=emit, on_sent=memory.sent)
    sight = Sight(silent_after=PATIENCE + _SILENT * alerts.every)
    names, spans = [sink.name for sink in alerts.sinks], spans_of(alerts.every)
    watch = LocalWatch(
        [rule for rule in alerts.rules if KINDS[rule.kind].local],
        runtime_dir,
        outbox=file_outbox,
        namespace=namespace,
        host=host_name(),
        sinks=names,
        spans=spans,
        emit=emit,
    )
    client = connect(config.redis.url, timeout=PATIENCE)
    shared = Shared(
        [rule for rule in alerts.rules if not KINDS[rule.kind].local],
        store=AlertStore(client, namespace),
        loads=LoadStore(client, namespace),
        me=identity(effective),
        gatherer=Gatherer(client, namespace, keeps_nothing=config.redis.keeps_nothing),
        namespace=namespace,
        sinks=names,
        every=alerts.every,
        spans=spans,
        sight=sight,
        known=Known(epoch=watch.file.epoch, mutes=watch.file.mutes),
        memory=memory,
        emit=emit,
        on_told=deliverer.wake,
    )
    parts: list[Part] = [shared, deliverer]
    if alerts.heartbeat is not None:
        parts.append(
            Heartbeat(
                alerts.heartbeat,
                is_well=lambda: daemon_is_well(attendance) and sight.unreachable() == "",
                emit=emit,
            )
        )
    alerter = Alerter(
        attendance=attendance,
        signals=signals,
        watch=watch,
        shared=shared,
        sight=sight,
        parts=parts,
        wake=deliverer.wake,
        every=alerts.every,
    )
    alerter.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
