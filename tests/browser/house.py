"""A daemon with a dashboard, at work on an application whose jobs do what files tell them.

Nothing here sleeps for long by itself: a job goes on when the test has written the file it waits for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.daemons import eventually
from support.logins import PASSWORDS
from support.servers import running, server_programs
from support.web import Site

from jobd import Jobd, Queue
from jobd.broker.connection import connect
from jobd.client.operate import VERBS
from jobd.client.operate_many import Order, Sweep
from jobd.core.passwords import Scrypt, hashed, written
from jobd.web.auth.auth import CSRF_HEADER

APP = '''
import os, time
from jobd import Fixed, Job, Jobd

app = Jobd()
q = app.queue("q")
reports = app.queue("reports")
naps = app.queue("naps")
odd = app.queue("odd")

def wait_for(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.01)

@q.task()
def quick(n: int) -> int:
    return 2 * n

@q.task()
def picky(path: str) -> str:
    """Fails until told otherwise."""
    if not os.path.exists(path):
        raise ValueError(f"no such file yet: {path}")
    return "at last"

@q.task(attempts=3, backoff=Fixed("1h"))
def tries_again(n: int) -> None:
    raise LookupError(f"nothing at {n}")

@q.task()
def curse(job: Job, text: str, times: int = 1) -> None:
    """Says evil things in every way it can."""
    text = times * text
    job.log(text)
    job.progress(0.5, text)
    raise ValueError(text)

@reports.task()
def report(job: Job, path: str, steps: int) -> int:
    """One step for each file `path.STEP`."""
    for step in range(1, steps + 1):
        wait_for(f"{path}.{step}")
        job.log(f"step {step} of {path.rsplit('/', 1)[-1]}")
        job.progress(step / steps, f"{step} of {steps} done")
    wait_for(f"{path}.end")
    return steps

@naps.task()
def nap(path: str) -> str:
    wait_for(path)
    return "woken"

@odd.task()
def quiet(n: int) -> int:
    """Of a queue that no process serves."""
    return n
'''
WEB = """
[[schedules]]
name = "nightly"
queue = "q"
task = "quick"
args = { n = 1 }
cron = "0 3 * * *"
tz = "Europe/Berlin"

[[schedules]]
name = "tidy"
queue = "q"
task = "quick"
args = { n = 2 }
every = "6h"

[alerts]
every = "1s"

[[alerts.rules]]
kind = "dead"
name = "jobs of q die"
queue = "q"

[[alerts.rules]]
kind = "backlog"
name = "odd backlog"
queue = "odd"
above = 1000000

[queues.reports]
[queues.naps]
concurrency = 2
[queues.odd]
processes = 0
"""
PROGRAM = next(iter(server_programs().values()))
QUEUES = ("q", "reports", "naps", "odd")
# As cheap as a configuration may say.
CHEAP = Scrypt(2**14, 8, 1, b"", b"")


def _hash(password: str) -> str:
    return written(hashed(password, b"some salt of it!", CHEAP))


class House(Site):
    """A daemon that people look at: `ops` may act, `eva` may look."""

    def __init__(self, directory: Path, url: str) -> None:
        self.url = url
        super().__init__(directory, url, app=APP)
        self.app = Jobd(url)
        self.client: Any = connect(url, timeout=5.0)
        self._cookies: dict[str, dict[str, str]] = {}

    @property
    def web(self) -> str:
        ops, eva = _hash(PASSWORDS["ops"]), _hash(PASSWORDS["eva"])
        users = f'ops = "{ops}"\neva = {{ password = "{eva}", role = "viewer" }}\n'
        return f"{super().web}[web.dashboard.users]\n{users}{WEB}"

    @property
    def at(self) -> str:
        """Where the site is, as browsers name it."""
        return f"http://127.0.0.1:{self.port}"

    def queue(self, name: str = "q") -> Queue:
        return self.app.queue(name)

    def session(self, user: str) -> dict[str, str]:
        """Log in over HTTP, once for each user; give the cookies of the session."""
        if user not in self._cookies:
            given = {"user": user, "password": PASSWORDS[user]}
            answer = httpx.post(f"{self.at}/login", json=given, headers={"Origin": self.at})
            assert answer.status_code == 200, answer.text
            self._cookies[user] = dict(answer.cookies)
        return self._cookies[user]

    def api(self, method: str, path: str, body: object = None) -> Any:
        """Do or ask something over the API, as the operator."""
        cookies = self.session("ops")
        csrf = httpx.get(f"{self.at}/session", cookies=cookies).json()["csrf"]
        answer = httpx.request(
            method, f"{self.at}/api/v1{path}", cookies=cookies, json=body,
            headers={"Origin": self.at, CSRF_HEADER: csrf},
        )  # fmt: skip
        assert answer.is_success, answer.text
        return answer.json()

    def forget_sessions(self) -> None:
        """Log in anew for the next browser."""
        self._cookies.clear()

    def tell(self, name: str) -> Path:
        """Write a file that a job waits for."""
        path = self.directory / name
        path.touch()
        return path

    def path(self, name: str) -> str:
        """Where `tell` writes a file of this name."""
        return str(self.directory / name)

    def dead(self, count: int = 1, name: str = "late") -> list[str]:
        """Let so many jobs of the queue q fail; give their ids. `tell(name)` lets them succeed."""
        handles = self.queue().add_many([("picky", {"path": self.path(name)})] * count)
        eventually("dead jobs", lambda: all(h.state() == "dead" for h in handles))
        return [handle.id for handle in handles]

    def clear(self) -> None:
        """Leave nothing of a test behind: no jobs but those that run, no pause."""
        for name in QUEUES:
            queue = self.queue(name)
            if queue.flow().paused_at is not None:
                queue.resume()
        order = Order(verb="purge", queues=QUEUES, states=VERBS["purge"])
        Sweep(self.client, "jobd", order).run(lambda _progress: None)

    def end(self) -> None:
        super().end()
        self.client.close()


@contextmanager
def at_work(top: pytest.TempPathFactory, kind: type[House] = House) -> Iterator[House]:
    """Give one that is ready, with a Redis of its own."""
    with running(PROGRAM, top.mktemp("redis")) as url:
        made = kind(top.mktemp("house"), url)
        try:
            made.start("run")
            made.ready()
            yield made
        finally:
            made.end()
