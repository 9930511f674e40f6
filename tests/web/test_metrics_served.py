"""/metrics of a real daemon, over HTTP: while all is well, while Redis hangs, and after it was begun anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place
from support.expositions import Exposition
from support.links import BadLink, Weather
from support.servers import eventually, running, server_programs
from support.web import Answer, ask, free_port, tried

from jobd import Jobd

pytestmark = pytest.mark.process


class Scraped(Place):
    """A daemon whose metrics are served on `port`."""

    def __init__(self, directory: Path, url: str) -> None:
        self.port = free_port()
        more = (
            f'[web]\nbind = "127.0.0.1:{self.port}"\n[queues.q]\n'
            '[[alerts.rules]]\nname = "too many"\nkind = "backlog"\nqueue = "q"\nabove = 1000\n'
            '[[alerts.rules]]\nname = "no redis"\nkind = "redis_down"\nfor = "1s"\n'
            '[[alerts.sinks]]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nallow_private = true\n'
        )
        super().__init__(directory, url, more=more)

    def scrape(self, accept: str = "text/plain") -> Answer:
        answer = ask(self.port, "/metrics", headers={"Accept": accept})
        assert answer.status == 200, answer.body
        return answer

    def says(self, name: str, value: float, **labels: str) -> Exposition:
        """Wait until it does."""

        def look() -> Exposition | None:
            found = Exposition(self.scrape().body)
            assert not found.broken_laws()
            series = (name, tuple(sorted(labels.items())))
            return found if found.values.get(series) == value else None

        return eventually(look)


@pytest.fixture
def link(tmp_path: Path) -> Iterator[BadLink]:
    program = next(iter(server_programs().values()))
    with running(program, tmp_path) as url, BadLink(url) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, link: BadLink) -> Iterator[Scraped]:
    site = tmp_path / "site"
    site.mkdir()
    made = Scraped(site, link.url)
    made.start("run")
    eventually(lambda: tried(made.port, "/metrics"))
    yield made
    made.end()


def test_metrics_are_served_whatever_becomes_of_redis(place: Scraped, link: BadLink) -> None:
    """What is of this host, and that Redis is away, within the bound that a scraper waits."""
    queue = Jobd(link.url).queue("q")
    for handle in [queue.add("double", {"n": n}) for n in range(3)]:
        handle.result("30s")
    found = place.says("jobd_jobs_total", 3, queue="q", task="double", outcome="completed")
    assert found.value("jobd_job_run_seconds_count", queue="q", task="double") == 3
    assert found.value("jobd_queue_workers", queue="q") == 1
    assert found.value("jobd_daemon_up") == 1
    place.says("jobd_alerts_firing", 0, rule="too many")
    place.says("jobd_workers", 1, queue="q", phase="idle")
    plain, open_metrics = (
        place.scrape(accept)
        for accept in ("text/plain", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    )
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.body.endswith(b"# EOF\n")

    link.become(Weather.HOLE)
    away = place.says("jobd_redis_up", 0)
    assert away.value("jobd_workers", queue="q", phase="idle") >= 0
    assert not away.by("jobd_jobs_total", "task")
    place.says("jobd_alerts_firing", 1, rule="no redis")

    link.become(Weather.FAIR)
    back = place.says("jobd_redis_up", 1)
    assert back.value("jobd_jobs_total", queue="q", task="double", outcome="completed") == 3
