"""The metrics of this host's processes, from the daemon's runtime directory: served without Redis too."""

from __future__ import annotations

from collections import Counter

from jobd.core.portrait import Daemon, QueueView, Worker
from jobd.web.metrics_table import Page

PHASES = ("vacant", "forking", "booting", "idle", "busy", "draining")
# Shown as 0 before it has happened, so that the first one is an increase and not a new series.
FEARED = ("crash", "oom", "memory", "hung", "timeout", "boot")


def add_daemon(page: Page, daemon: Daemon | None) -> None:
    """Fill in what the daemon's files say; None: there are none."""
    running = daemon is not None and daemon.running
    page.add("jobd_daemon_up", (), running)
    if daemon is None or not running:
        return
    failed = daemon.reload is not None and daemon.reload.error is not None
    page.add("jobd_daemon_stopping", (), daemon.stopping)
    page.add("jobd_daemon_generation", (), daemon.generation)
    page.add("jobd_daemon_reload_failed", (), failed)
    page.add("jobd_daemon_start_time_seconds", (), daemon.started_at)
    for name, queue in daemon.queues.items():
        _add_queue(page, name, queue)
    _add_workers(page, daemon)


def _add_queue(page: Page, name: str, queue: QueueView) -> None:
    page.add("jobd_queue_processes", (name, "wanted"), queue.wanted)
    page.add("jobd_queue_gave_up", (name,), queue.gave_up)
    for cause in dict.fromkeys((*FEARED, *queue.exits)):
        page.add("jobd_worker_restarts_total", (name, cause), queue.exits.get(cause, 0))
    for growth in queue.growth:
        page.add("jobd_task_growth_bytes", (name, growth.task), growth.bytes)


def _add_workers(page: Page, daemon: Daemon) -> None:
    phases = Counter((worker.queue, phase_of(worker)) for worker in daemon.workers)
    running = Counter(worker.queue for worker in daemon.workers if worker.pid is not None)
    memory: Counter[tuple[str, str]] = Counter()
    for worker in daemon.workers:
        if worker.memory is not None:
            # One that leaves and its successor are of the same slot.
            memory[worker.queue, worker.slot] += worker.memory
    for queue in dict.fromkeys((*daemon.queues, *(worker.queue for worker in daemon.workers))):
        page.add("jobd_queue_processes", (queue, "running"), running[queue])
        for phase in PHASES:
            page.add("jobd_workers", (queue, phase), phases[queue, phase])
    for (queue, slot), size in memory.items():
        page.add("jobd_worker_memory_bytes", (queue, slot), size)


def phase_of(worker: Worker) -> str:
    """Name the phase. A process whose page says nothing yet, or whose word is new to us, boots."""
    if worker.phase in PHASES and not (worker.phase == "vacant" and worker.pid is not None):
        return worker.phase
    return "booting"
