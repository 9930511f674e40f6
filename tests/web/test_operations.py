"""Operations are seen and stopped from every process of the namespace, whatever becomes of the one that
carries them out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api import NAMESPACE, Api, die
from support.daemons import eventually
from support.links import BadLink, Weather
from support.web import free_port

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.broker.keys import SharedKeys
from jobd.broker.operations import LOST_AFTER_MS
from jobd.broker.store import store_ms
from jobd.core.errors import BrokerError
from jobd.core.events import Event
from jobd.core.web_events import WebFailed, WebOperationEnded
from jobd.web.api.operation import Operation, Progress, Work
from jobd.web.api.operations import NoSuchOperation, Operations

KEYS = SharedKeys(NAMESPACE)


class Place:
    """The operations of one process, with work that goes on until it is let go or stopped."""

    def __init__(self, url: str, host: str = "a") -> None:
        self.told: list[Event] = []
        self.client = connect(url, timeout=1.0)
        self.gate = threading.Event()
        self.operations = Operations(self.client, NAMESPACE, host=host, emit=self.told.append)

    def start(self, work: Work | None = None) -> Operation:
        return self.operations.start(work or self.until_let_go, verb="retry", queue="q", by="eva")

    def until_let_go(self, progress: Progress) -> bool:
        progress.tell(3, 10, {"retried": 3})
        while not progress.is_stopped():
            if self.gate.wait(0.01):
                progress.tell(10, 10, {"retried": 10})
                return True
        return False

    def until(self, operation: Operation, state: str) -> Operation:
        def look() -> Operation | None:
            found = self.operations.get(operation.id)
            return found if found.state == state else None

        return eventually(f"it is {state}", look)

    @property
    def outcomes(self) -> list[str]:
        return [event.outcome for event in self.told if isinstance(event, WebOperationEnded)]

    def leave(self) -> None:
        """Let all end that is under way: its last words are not to reach the next test's Redis."""
        self.gate.set()
        eventually("none is under way", lambda: not self.operations._runs)


@pytest.fixture
def here(redis_url: str) -> Iterator[Place]:
    made = Place(redis_url, "a")
    yield made
    made.leave()


@pytest.fixture
def there(redis_url: str) -> Iterator[Place]:
    made = Place(redis_url, "b")
    yield made
    made.leave()


def test_another_process_sees_how_far_it_is_and_its_end(here: Place, there: Place) -> None:
    began = here.start()
    assert (began.host, began.state) == ("a", "running")
    assert there.operations.get(began.id).id == began.id
    eventually("its progress", lambda: there.operations.get(began.id).looked == 3)
    mine = there.start()
    for place in (here, there):
        both = place.operations.all()
        assert [(each.id, each.host) for each in both] == [(mine.id, "b"), (began.id, "a")]
    here.gate.set()
    found = there.until(began, "done")
    assert (found.looked, found.counts, found.by) == (10, {"retried": 10}, "eva")
    assert found.ended_at is not None
    assert here.operations.get(began.id) == found
    assert here.outcomes == ["done"]
    there.gate.set()
    there.until(mine, "done")


def test_another_process_stops_it(here: Place, there: Place) -> None:
    began = here.start()
    assert there.operations.stop(began.id).state in ("stopping", "stopped")
    found = there.until(began, "stopped")
    assert (found.looked, found.counts) == (3, {"retried": 3})
    assert here.outcomes == ["stopped"]
    assert there.operations.stop(began.id) == found
    with pytest.raises(NoSuchOperation):
        there.operations.stop("none")
    with pytest.raises(NoSuchOperation):
        there.operations.get("none")


def test_that_it_is_stopped_where_it_runs_is_seen_elsewhere(here: Place, there: Place) -> None:
    held = threading.Event()
    began = here.start(lambda _progress: held.wait(60) and False)
    here.operations.stop(began.id)
    there.until(began, "stopping")
    held.set()
    there.until(began, "stopped")


def test_nothing_is_left_in_the_process_of_one_that_has_ended(here: Place) -> None:
    here.gate.set()
    began = here.start()
    eventually("it is forgotten here", lambda: not here.operations._runs)
    assert here.operations.get(began.id).state == "done"


def test_redis_that_forgets_it_hears_of_it_again(here: Place, there: Place) -> None:
    began = here.start()
    here.client.delete(KEYS.web_operations, KEYS.web_operation_stops)
    eventually("it is there again", lambda: [o.id for o in there.operations.all()] == [began.id])


def test_what_strangers_wrote_is_not_shown(here: Place) -> None:
    began = here.start()
    now = store_ms(here.client)
    for n, document in enumerate(("", "{}", "[" * 5000, '{"id": 1}', '"\ud83d"', "null")):
        raw = f"{now} r {document}".encode("utf-8", "surrogatepass")
        here.client.hset(KEYS.web_operations, f"s{n}", raw)
    assert [each.id for each in here.operations.all()] == [began.id]
    for n in range(6):
        with pytest.raises(NoSuchOperation):
            here.operations.get(f"s{n}")


def test_without_redis_none_is_begun_and_what_goes_on_does(redis_url: str) -> None:
    with BadLink(redis_url) as link:
        place, other = Place(link.url), Place(redis_url, "b")
        began = place.start()
        link.become(Weather.HOLE)
        done: list[int] = []
        with pytest.raises(BrokerError):
            place.start(lambda _progress: bool(done.append(1)))
        with pytest.raises(BrokerError):
            place.operations.all()
        assert place.operations.get(began.id).state == "running"
        place.gate.set()
        eventually("it ends", lambda: place.outcomes == ["done"])
        # By then its last word was tried, and was lost.
        for _ in range(3):
            with pytest.raises(BrokerError):
                place.operations.all()
        assert other.operations.get(began.id).state == "running"
        link.become(Weather.FAIR)
        link.reset()
        assert other.until(began, "done").counts == {"retried": 10}
        assert done == []
        assert not any(isinstance(event, WebFailed) for event in place.told)


def test_the_api_says_that_redis_is_away(tmp_path: Path) -> None:
    api = Api(f"redis://127.0.0.1:{free_port()}", tmp_path)
    for method, path, json in (
        ("GET", "/operations", None),
        ("GET", "/operations/o", None),
        ("DELETE", "/operations/o", None),
        ("POST", "/operations", {"verb": "retry", "ids": ["a"]}),
    ):
        answer = api.ask(method, path, who="operator", json=json)
        assert answer.status_code == 503, (method, path, answer.text)


OF_ITS_OWN = f"""
import sys, threading
from jobd.broker.connection import connect
from jobd.web.api.operations import Operations

def work(progress):
    progress.tell(7, 10, {{"retried": 7}})
    while not progress.is_stopped():
        threading.Event().wait(0.05)
    return False

own = Operations(connect(sys.argv[1]), {NAMESPACE!r}, host="elsewhere", emit=lambda event: None)
print(own.start(work, verb="retry", queue="q", by="eva").id, flush=True)
sys.stdin.read()
"""


@pytest.mark.process
def test_one_whose_process_is_killed_is_lost_with_what_it_did(redis_url: str, there: Place) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", OF_ITS_OWN, redis_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        name = child.stdout.readline().strip()
        eventually("its progress", lambda: there.operations.get(name).looked == 7)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
    last = there.operations.get(name)
    assert last.state == "running"
    # Ten seconds later, by Redis' clock.
    there.operations._words.now = store_ms(there.client) + LOST_AFTER_MS + 1
    found = there.operations.get(name)
    assert (found.state, found.host, found.looked, found.counts) == (
        "lost", "elsewhere", 7, {"retried": 7},
    )  # fmt: skip
    assert found.ended_at is not None
    assert 0 <= found.ended_at - found.started_at < 60_000
    assert there.operations.all() == [found]
    assert there.operations.stop(name).state == "lost"


def test_two_web_processes_serve_one_operation(redis_url: str, tmp_path: Path) -> None:
    """Over the API: begun at one, watched and stopped at the other."""
    first, second = Api(redis_url, tmp_path), Api(redis_url, tmp_path)
    queue = Jobd(redis_url, namespace=NAMESPACE).queue("q")
    die(queue, 300)
    began = first.act("POST", "/operations", {"verb": "retry", "queue": "q"})
    path = f"/operations/{began['id']}"
    eventually("its end", lambda: second.get(path)["ended_at"])
    assert second.get(path)["counts"] == {"retried": 300}
    assert second.get("/operations") == first.get("/operations")
    assert second.act("DELETE", path)["state"] == "done"
