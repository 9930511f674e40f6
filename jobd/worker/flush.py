"""Notes and steps of running jobs on their way to Redis, over links of their own.

The thread starts with the first note of a worker's life and sleeps while there is none: a worker whose
tasks say nothing has no such thread. It lets notes gather before it sends them, so a short job's go
with its settle and cost no round trip.
"""

from __future__ import annotations

import threading

from jobd.broker.calls import Calls
from jobd.broker.commands import QueueCommands
from jobd.broker.connection import Client
from jobd.broker.replies import refuse_fenced
from jobd.core.errors import BrokerError, BrokerUnavailable
from jobd.seams.clock import mono
from jobd.worker.notes import Notebook

GATHER = 0.2
AFTER_TROUBLE = 0.5
# A step whose record is lost runs again: whoever keeps the record is patient.
PATIENCE = 10.0
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)


class Flusher:
    """Sends the notes of one worker incarnation, and speaks for its steps."""

    def __init__(
        self, notes: Notebook, *, client: Client, commands: QueueCommands, incarnation: str
    ) -> None:
        self._notes = notes
        self._calls = Calls(client)
        self._commands = commands
        self._incarnation = incarnation
        self._something = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        notes.on_first = self._hear
        notes.record = self._record

    def stop(self) -> None:
        """End the thread; it may finish a round trip."""
        self._ended.set()
        self._something.set()
        if self._thread is not None:
            self._thread.join(5)

    def _hear(self) -> None:
        if self._thread is None and not self._ended.is_set():
            with self._notes.lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._watch, name="jobd-notes", daemon=True
                    )
                    self._thread.start()
        self._something.set()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self._something.wait()
            self._ended.wait(GATHER)
            self._something.clear()
            if self._ended.is_set():
                return
            try:
                self._send()
            except BrokerError:
                # The main loop meets the same server and says so. Nothing is lost: it goes next time.
                self._something.set()
                self._ended.wait(AFTER_TROUBLE)

    def _send(self) -> None:
        for jots in self._notes.spell():
            reply = self._calls.run(self._commands.jot(self._incarnation, jots))
            refuse_fenced(reply)
            self._notes.heard(jots, reply)
        if self._notes.holds_some:
            self._something.set()  # said while we sent: nobody told us, since the book was not empty

    def _record(self, job_id: bytes, claim: int, name: str, value: bytes) -> list[bytes]:
        """Carry out one call of `step`, again and again while Redis is away: a repeat is harmless."""
        command = self._commands.step(self._incarnation, job_id, claim, name, value)
        give_up_at, tried, unknown = mono() + PATIENCE, 0, False
        while True:
            try:
                answer: list[bytes] = self._calls.run(command)
                return answer
            except BrokerUnavailable as error:
                unknown = unknown or error.outcome_unknown
                if mono() > give_up_at or self._ended.is_set():
                    error.outcome_unknown = unknown
                    raise
            self._ended.wait(_PAUSES[min(tried, len(_PAUSES) - 1)])
            tried += 1
