"""Long operations on many jobs: each is a resource that tells how far it is, and can be stopped.

One is carried out by the process that began it, which says in Redis twice a second how far it is
(`jobd.broker.operations`) and hears there whether it is to stop: so that every process of the namespace
can show and stop it. A process that ends takes its operations along; they are shown as lost then, and
what was done until then is done, for every bite is whole. Invariant: of these there are never more than
MOST_RUNNING under way in a process, and each that its process lives to see ends with a word for how:
done, stopped or failed, which is told as an event. What Redis does not hear is said again, and no reason
to stop.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

import msgspec

from jobd.broker.connection import Client
from jobd.broker.operations import KEPT, OperationWords, Said
from jobd.core.errors import BrokerError
from jobd.core.ids import uuid7
from jobd.core.unreadable import UNREADABLE_JSON
from jobd.core.web_events import WebFailed, WebOperationEnded
from jobd.seams.clock import wall_ms
from jobd.seams.log import Emit
from jobd.web.api.operation import Operation, Run, Work
from jobd.web.api.problems import Busy, NotThere, is_ours, problem_of

MOST_RUNNING = 4
# Seconds between two words; and how often the last one is tried, where Redis does not take it.
_EVERY, _LAST_EVERY, _LAST_TRIES = 0.5, 1.0, 600


class NoSuchOperation(NotThere):
    """It is not remembered."""

    code = "jobd.no_such_operation"


class Operations:
    """Starts, shows and stops. Used from several threads. `host` names where this is, for people."""

    def __init__(self, client: Client, namespace: str, *, host: str, emit: Emit) -> None:
        self._words = OperationWords(client, namespace)
        self._host = host
        self._emit = emit
        self._lock = threading.Lock()
        self._runs: dict[str, Run] = {}

    def start(
        self, work: Work, *, verb: str, queue: str | None, by: str, dry_run: bool = False,
        which: Mapping[str, str] | None = None, as_of: int | None = None,
    ) -> Operation:  # fmt: skip
        """Begin in a thread; give what it is. Raises Busy, and BrokerError: nothing is begun then."""
        operation = Operation(
            id=uuid7(wall_ms(), int.from_bytes(os.urandom(10))),
            verb=verb, queue=queue, which=dict(which or {}), by=by, dry_run=dry_run, state="running",
            started_at=wall_ms(), host=self._host, as_of=as_of,
        )  # fmt: skip
        run = self._admit(operation)
        try:
            # The threads first: once Redis has heard of it there is nothing that can fail.
            self._threads(run, work)
            self._say(run)
            run.is_wanted = True
        finally:
            if not run.is_wanted:
                self._forget(operation.id)
            run.begun.set()
        return operation

    def all(self) -> list[Operation]:
        """Show all that are remembered, the newest first. Raises BrokerError."""
        with self._lock:
            runs = dict(self._runs)
        known = {said.id: _read(said) for said in self._words.all()}
        here = {name: run.shown for name, run in runs.items() if not _has_ended(known.get(name))}
        found = {name: each for name, each in known.items() if each is not None} | here
        return sorted(found.values(), key=lambda each: each.id, reverse=True)

    def get(self, operation: str) -> Operation:
        """Show one. Raises NoSuchOperation, BrokerError."""
        if (run := self._here(operation)) is not None:
            return run.shown
        said = self._words.get(operation)
        found = None if said is None else _read(said)
        if found is None:
            raise _no_such(operation)
        return found

    def stop(self, operation: str) -> Operation:
        """Let one end after the bite that is under way; give how far it is.

        Raises NoSuchOperation, BrokerError.
        """
        if (run := self._here(operation)) is not None:
            run.progress.stop()
        elif not self._words.stop(operation):
            raise _no_such(operation)
        return self.get(operation)

    def _admit(self, operation: Operation) -> Run:
        with self._lock:
            running = sum(run.shown.ended_at is None for run in self._runs.values())
            if running >= MOST_RUNNING:
                raise Busy(
                    f"operations: {running} are under way; expected at most {MOST_RUNNING}; "
                    "wait for one of them, or stop it; see /api/v1/operations"
                )
            run = self._runs[operation.id] = Run(operation)
        return run

    def _threads(self, run: Run, work: Work) -> None:
        try:
            for each in (lambda: self._carry_out(run, work), lambda: self._tell(run)):
                threading.Thread(target=each, name="operation", daemon=True).start()
        except RuntimeError as none_to_have:
            raise Busy("operations: no thread is to be had here; try again later") from none_to_have

    def _here(self, operation: str) -> Run | None:
        with self._lock:
            return self._runs.get(operation)

    def _forget(self, operation: str) -> None:
        with self._lock:
            del self._runs[operation]

    def _carry_out(self, run: Run, work: Work) -> None:
        run.begun.wait()
        if not run.is_wanted:
            return
        state, problem = "failed", None
        try:
            state = "done" if work(run.progress) else "stopped"
        except Exception as error:  # noqa: BLE001 - told in the operation, and as an event if it is a mistake
            if not is_ours(error):
                self._emit(WebFailed(path=f"operation {run.shown.verb}", why=repr(error)))
            problem = problem_of(error)
        outcome = run.outcome(state, problem)
        self._emit(_ending(outcome))
        run.end(outcome)

    def _tell(self, run: Run) -> None:
        """Say how far it is until it has ended, and that as well; then nothing of it is left here."""
        run.begun.wait()
        if not run.is_wanted:
            return
        while not run.ended.wait(_EVERY):
            self._is_said(run)
        tries = 1
        while not self._is_said(run) and tries < _LAST_TRIES:
            tries += 1
            threading.Event().wait(_LAST_EVERY)
        self._forget(run.shown.id)

    def _is_said(self, run: Run) -> bool:
        try:
            self._say(run)
        except BrokerError:
            return False
        except Exception as error:  # noqa: BLE001 - a mistake is an event; what is carried out goes on
            self._emit(WebFailed(path="operation", why=repr(error)))
            return False
        return True

    def _say(self, run: Run) -> None:
        shown = run.shown
        is_over = shown.ended_at is not None
        if self._words.say(shown.id, msgspec.json.encode(shown), ended=is_over):
            run.progress.stop()


def _read(said: Said) -> Operation | None:
    """Read one; None for what a stranger or another version wrote."""
    try:
        found = msgspec.json.decode(said.document, type=Operation)
    except UNREADABLE_JSON:
        return None
    state, ended_at = found.state, found.ended_at
    if said.is_lost:
        state, ended_at = "lost", said.at
    elif said.stop and not said.ended:
        state = "stopping"
    return msgspec.structs.replace(found, id=said.id, state=state, ended_at=ended_at)


def _has_ended(operation: Operation | None) -> bool:
    return operation is not None and operation.state in ("done", "stopped", "failed")


def _no_such(operation: str) -> NoSuchOperation:
    return NoSuchOperation(
        f"operation {operation!r}: not known; expected one of the last {KEPT}; what it did until it ended "
        "is done: look at the jobs"
    )


def _ending(it: Operation) -> WebOperationEnded:
    return WebOperationEnded(
        who=it.by, operation=it.id, what=it.verb, queue=it.queue, outcome=it.state, dry_run=it.dry_run,
        counts=it.counts, why=None if it.problem is None else it.problem.detail,
    )  # fmt: skip
