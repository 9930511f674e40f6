"""What lists cost in a crowd: a million jobs wait, a million are delayed, 100,000 are dead.

Each call of the browser, many times, its time from here and what it had Redis do. The scores are as a
store gets them: a line of its own for each job that waits, one instant for the delayed of one bulk add.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles

import pytest
from support.servers import running

from chaos.conftest import PROGRAM
from jobd.broker.browse import Browser
from jobd.broker.connection import Client, connect
from jobd.broker.store import register_queues
from jobd.core.states import DEAD, DELAYED, WAITING

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

MILLION = 1_000_000
TIMES = 60
BAR = 0.2
QUEUES = ("q", *(f"other{n}" for n in range(9)))

# Writes jobs [first, first + n) into a container, in one call of a server that nobody else uses.
FILL = """
local state, first, n, kind = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
for i = first, first + n - 1 do
  local id = string.format('0190c8f2-7e1a-7b3c-%s-%012d', kind, i)
  local key = 't:{q}:job:' .. id
  local task, at = 'task' .. i % 20, string.format('%d', 1780000000000 + i)
  local score = at
  redis.call('HSET', key, 'task', task, 'args', '{"user_id":' .. i .. '}', 'at', at)
  if state == 'waiting' then
    score = string.format('%d', (5 + i % 3) * 2 ^ 40 + i)
    redis.call('HSET', key, 'seq', i)
  elseif state == 'delayed' then
    score = i % 2 == 0 and '1890000000000' or string.format('%d', 1890000000000 + i)
    redis.call('HSET', key, 'due', score, 'more', 'd', 'options', '{"group":"g' .. i % 1000 .. '"}')
  else
    redis.call('HSET', key, 'cause', 'failed', 'failed', '3', 'more', '1',
      'error', 'KeyError: order ' .. i .. ' of kind ' .. string.rep('x', i % 40) .. '\\n' .. string.rep('y', 300))
  end
  redis.call('ZADD', 't:{q}:' .. state, score, id)
end
"""


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server of its own, full of jobs."""
    directory: Path = tmp_path_factory.mktemp("crowd")
    with running(PROGRAM, directory) as url:
        client = connect(url, timeout=10.0)
        fill = client.register_script(FILL)
        for state, number, kind in (
            (WAITING, MILLION, "8a01"), (DELAYED, MILLION, "8a02"), (DEAD, MILLION // 10, "8a03"),
        ):  # fmt: skip
            for first in range(0, number, 2000):
                fill(args=[state, first, 2000, kind])
        register_queues(client, "t", QUEUES)
        for queue in QUEUES:
            _tallies(client, queue)
        yield client
        client.close()


def _tallies(client: Client, queue: str) -> None:
    """Twenty tasks with all their buckets, and two hours of minutes."""
    pipe = client.pipeline(transaction=False)
    for task in range(20):
        fields = {
            f"{kind}|task{task}|{b}": 7 for kind in ("wait", "run", "total") for b in range(18)
        }
        pipe.hset(f"t:{{{queue}}}:tally", mapping={**fields, f"completed|task{task}": 126})
    now = int(client.time()[0]) // 60
    for minute in range(now - 120, now + 1):
        pipe.hset(
            f"t:{{{queue}}}:minute:{minute}", mapping={"completed": 50, "failed": 2, "dead": 1}
        )
    pipe.execute()


def calls(look: Browser, rng: random.Random) -> dict[str, Callable[[], object]]:
    """Each kind of call, of which every one is another."""
    cursors: dict[str, str | None] = {}

    def on(state: str, **more: object) -> Callable[[], object]:
        def call() -> object:
            key = f"{state}{more}"
            page = look.page("q", state, cursor=cursors.get(key), **more)  # type: ignore[arg-type]
            cursors[key] = page.next
            return page

        return call

    def found() -> object:
        info = look.find(f"0190c8f2-7e1a-7b3c-8a01-{rng.randrange(MILLION):012d}")
        assert info is not None
        return info

    return {
        "page of 50 waiting, each the next": on(WAITING, limit=50),
        "page of 200 waiting, each the next": on(WAITING, limit=200),
        "page of 50 delayed, each the next": on(DELAYED, limit=50),
        "page of 50 dead, each the next": on(DEAD, limit=50),
        "filter by a rare group, 2,000 looked at": on(DELAYED, limit=50, group="g999"),
        "filter by an error nothing has, 2,000 looked at": on(DEAD, limit=50, error="nothing"),
        "dead older than a day, each the next": on(DEAD, limit=50, older_than_ms=86_400_000),
        "one job by its id, over 10 queues": found,
        "dead groups, 5,000 looked at": lambda: look.dead_groups("q"),
        "dead groups, 10,000 looked at": lambda: look.dead_groups("q", most=10_000),
        "10 queues with 20 tasks each": look.queues,
        "tasks of a queue": lambda: look.tasks("q"),
        "schedules of 10 queues": look.schedules,
    }


def test_every_list_is_quick_in_a_crowd(crowd: Client, report: Callable[..., bool]) -> None:
    """Whatever is asked for, and however deep in the list."""
    look, late = Browser(crowd, "t"), list[str]()
    crowd.config_set("slowlog-log-slower-than", 1000)
    for what, call in calls(look, random.Random(7)).items():
        first = _timed(call)
        crowd.config_resetstat()
        crowd.slowlog_reset()
        times = sorted(_timed(call) for _ in range(TIMES))
        said = crowd.info("commandstats")
        slow = [entry["duration"] / 1000 for entry in crowd.slowlog_get(128)]
        cuts = quantiles(times, n=20)
        report(
            what,
            bar="p95 < 200 ms",
            figures=(
                f"first {first * 1e3:.1f} ms, p50 {cuts[9] * 1e3:.1f}, p95 {cuts[18] * 1e3:.1f}; "
                f"a call: {_sent(said) / TIMES:.1f} commands of ours, {_all(said) / TIMES:.0f} with those in "
                f"scripts; one held Redis at most {max(slow, default=1.0):.1f} ms"
            ),
            n=TIMES,
        )
        if cuts[18] > BAR:
            late.append(what)
    assert late == []


def test_a_place_whose_job_has_gone_is_found_among_half_a_million_of_one_score(
    crowd: Client, report: Callable[..., bool]
) -> None:
    """By halves: the dearest way to go on there is."""
    look = Browser(crowd, "t")
    times = []
    page = look.page("q", DELAYED, limit=20)
    for _ in range(TIMES):
        assert page.next is not None
        gone = page.rows[-1]
        crowd.zrem("t:{q}:delayed", gone.id)
        began = time.perf_counter()
        page = look.page("q", DELAYED, limit=20, cursor=page.next)
        times.append(time.perf_counter() - began)
        assert page.rows[0].id > gone.id
    cuts = quantiles(times, n=20)
    report(
        "a page behind a job that has gone, of 500,000 with one score",
        bar="p95 < 200 ms",
        figures=f"p50 {cuts[9] * 1e3:.1f} ms, p95 {cuts[18] * 1e3:.1f}",
        n=TIMES,
    )
    assert cuts[18] < BAR


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _all(said: dict[str, dict[str, int]]) -> int:
    return sum(each["calls"] for each in said.values())


def _sent(said: dict[str, dict[str, int]]) -> float:
    """What we sent: all, without what scripts called. A call of `page` is one command of ours."""
    scripts = said.get("cmdstat_evalsha", {"calls": 0})["calls"]
    inside = ("zcard", "zscore", "zrank", "zcount", "zrange", "zrevrange", "hmget", "type")
    if scripts == 0:
        return _all(said)
    return sum(
        n["calls"] for name, n in said.items() if name.removeprefix("cmdstat_") not in inside
    )
