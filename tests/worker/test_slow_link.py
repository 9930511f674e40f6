"""A worker behind a slow link settles what it has run, whatever its results weigh, and runs nothing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.proxy import Narrow, Proxy
from support.inline import in_state, working
from support.servers import eventually

from jobd import Job, Jobd
from jobd.broker.bites import SETTLE_BYTES
from jobd.seams.scoreboard_page import Page
from jobd.worker.ended import MOST_BYTES

JOBS = 60
RESULT = 120_000  # in a result, of 128 KiB that are allowed
RATE = 2_000_000.0  # bytes a second: all of it takes longer than any reply may


@pytest.fixture
def narrow(tmp_path: Path, redis_url: str) -> Iterator[tuple[Proxy, Narrow]]:
    proxy = Proxy(tmp_path, Path(redis_url.removeprefix("unix://")))
    proxy.rule = rule = Narrow(RATE)
    yield proxy, rule
    proxy.end()


@pytest.mark.parametrize("concurrency", [1, 8])
def test_large_results_arrive_in_bites_and_no_job_runs_twice(
    app: Jobd, page: Page, narrow: tuple[Proxy, Narrow], concurrency: int
) -> None:
    """All at once they would be late, be sent again, and be late again."""
    proxy, rule = narrow
    behind = Jobd(proxy.url)
    queue, ran, unsettled = behind.queue("q"), Counter[int](), []

    @queue.task()
    def fat(n: int) -> str:
        ran[n] += 1
        ended = worker.desk.ended
        unsettled.append(ended._waiting + ended._away)
        return "x" * RESULT

    app.queue("q").add_many([("fat", {"n": n}) for n in range(JOBS)])
    with working(behind, queue, page, concurrency=concurrency) as worker:
        worker.desk.costs.note(b"fat", 0.0)  # known for a fast one: it comes in batches
        eventually(in_state(app, "completed", JOBS))
    behind.producer.client.close()

    assert (len(ran), set(ran.values()), worker.said) == (JOBS, {1}, [])
    # A bite, and the claim and hand-back that go with it.
    assert rule.most <= SETTLE_BYTES + 65_536
    assert max(unsettled) <= MOST_BYTES + concurrency * (RESULT + 2)


def test_notes_go_in_bites_too(app: Jobd, page: Page, narrow: tuple[Proxy, Narrow]) -> None:
    """They have to be there before their jobs are settled, and no line is lost for that."""
    proxy, rule = narrow
    behind = Jobd(proxy.url)
    queue = behind.queue("q")

    @queue.task()
    def talk(job: Job, n: int) -> None:
        for i in range(30):
            job.log(f"{i} " + "y" * 1900)

    jobs = app.queue("q").add_many([("talk", {"n": n}) for n in range(JOBS)])
    with working(behind, queue, page) as worker:
        worker.desk.costs.note(b"talk", 0.0)
        eventually(in_state(app, "completed", JOBS))
    behind.producer.client.close()

    assert worker.said == []
    assert rule.most <= SETTLE_BYTES + 65_536
    assert {len(job.info().logs) for job in jobs} == {30}
