"""The laws of looks that are shared, and of the stream that tells of them."""

from __future__ import annotations

import asyncio
import inspect
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.api import die
from support.daemons import eventually
from support.pages import FRAME, PageSite, tree

from jobd import Jobd
from jobd.core.errors import BrokerUnavailable, StoreUnusable
from jobd.web.api.problems import NotThere
from jobd.web.pages.badges import Counts
from jobd.web.pages.live import Hub
from jobd.web.pages.page import Live, Page
from jobd.web.pages.plan import SHARE
from jobd.web.pages.stream import MOST_UNKNOWN
from jobd.web.pages.table import PAGES
from jobd.web.pages.turns import Turns
from jobd.web.pages.watch import Seen, Topic, Watch
from jobd.web.threads import Crowded


def topic(name: str) -> Topic:
    return Topic(name, (), (), "viewer", "")


A, B = topic("a"), topic("b")


class Looks:
    """What a hub looks with: counts, gives what it was told to give, takes as long as it was told to."""

    def __init__(self) -> None:
        self.count: dict[str, int] = {}
        self.text: str | Exception = "one"
        self.burns = 0.0
        self.held: set[str] = set()
        self.late: set[str] = set()
        self.go = threading.Event()

    @classmethod
    def failing(cls, error: Exception) -> Looks:
        made = cls()
        made.text = error
        return made

    def __call__(self, it: Topic) -> str:
        self.count[it.page] = self.count.get(it.page, 0) + 1
        if it.page in self.held:
            assert self.go.wait(60)
        until = time.thread_time() + self.burns
        while time.thread_time() < until:
            pass
        if it.page in self.late:
            raise BrokerUnavailable("redis: late")
        if isinstance(self.text, Exception):
            raise self.text
        return f"{it.page} {self.text}"


@pytest.fixture
def looks() -> Looks:
    return Looks()


@contextmanager
def hub_of(looks: Looks, **more: Any) -> Iterator[Hub]:
    hub = Hub(looks, **({"every": 0.01} | more))
    try:
        yield hub
    finally:
        looks.go.set()
        hub.close()
        eventually("the end of the looks", lambda: hub._thread is None)


def watching(hub: Hub, *topics: Topic, then: Callable[..., Any]) -> None:
    """Call `then` in an event loop with a watch of each topic."""

    async def run() -> None:
        watches = [hub.watch(each) for each in topics]
        assert None not in watches
        await then(*watches)
        for watch in watches:
            assert watch is not None
            hub.leave(watch)

    asyncio.run(run())


async def news(watch: Watch) -> Seen:
    seen = await watch.next(within=20)
    assert seen is not None
    return seen


def test_who_watches_the_same_sees_the_same_look(looks: Looks) -> None:
    async def then(*watches: Watch) -> None:
        seen = [await news(watch) for watch in watches]
        assert {id(each) for each in seen} == {id(seen[0])}

    with hub_of(looks, every=60) as hub:
        watching(hub, *[A] * 20, then=then)
    assert looks.count == {"a": 1}


def test_nobody_looks_while_nobody_watches(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        await news(watch)

    with hub_of(looks) as hub:
        assert hub._thread is None
        watching(hub, A, then=then)
        eventually("the end of the looks", lambda: hub._thread is None)
        assert hub.seen(A) is None
        count = dict(looks.count)
        watching(hub, B, then=then)
        assert looks.count["a"] == count["a"]


def test_what_has_not_changed_is_no_news(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        await news(watch)
        looked = looks.count["a"]
        assert await watch.next(within=0.2) is None
        assert looks.count["a"] > looked

    with hub_of(looks) as hub:
        watching(hub, A, then=then)


def test_who_misses_some_gets_the_last(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        first = await news(watch)
        for n in range(5):
            looks.text = f"number {n}"
            looked = looks.count["a"]
            while looks.count["a"] < looked + 2:
                await asyncio.sleep(0.005)
        last = await news(watch)
        assert last.html == "a number 4"
        assert last.number >= first.number + 5

    with hub_of(looks) as hub:
        watching(hub, A, then=then)


def test_what_cannot_be_seen_is_told_and_what_was_seen_stays(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        await news(watch)
        looks.text = BrokerUnavailable("redis: away")
        away = await news(watch)
        assert (away.problem, away.html, away.gone) == ("redis: away", "a one", False)
        looks.text = "one"
        assert (await news(watch)).problem is None
        looks.text = NotThere("job: gone")
        assert (await news(watch)).gone
        looks.text = RuntimeError("with a secret")
        assert "secret" not in str((await news(watch)).problem)

    with hub_of(looks) as hub:
        watching(hub, A, then=then)


def test_that_redis_is_away_is_told_to_everybody_at_once(looks: Looks) -> None:
    """Nobody waits for the time-outs of the others, neither when it goes nor when it comes back."""
    topics = [topic(str(n)) for n in range(30)]
    asked, is_back = threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        if not is_back.is_set():
            raise BrokerUnavailable("redis: no answer")

    async def then(*watches: Watch) -> None:
        for watch in watches:
            await news(watch)
        looks.text = BrokerUnavailable("redis: one answer is late")
        looked = sum(looks.count.values())
        seen = [await news(watch) for watch in watches]
        assert {(each.problem, each.html) for each in seen[1:]} == {
            ("redis: no answer", f"{each.page} one") for each in topics[1:]
        }
        for _ in range(3):
            asked.clear()
            assert await asyncio.to_thread(asked.wait, 20)
        assert sum(looks.count.values()) == looked + 1
        looks.text = "two"
        is_back.set()
        assert [(await news(watch)).problem for watch in watches] == [None] * len(watches)

    with hub_of(looks, ask=ask) as hub:
        watching(hub, *topics, then=then)


def test_a_look_that_alone_takes_too_long_is_nobody_elses_trouble(looks: Looks) -> None:
    async def then(one: Watch, other: Watch) -> None:
        assert {(await news(one)).problem, (await news(other)).problem} == {None}
        looks.late.add("a")
        assert (await news(one)).problem == "redis: late"
        assert await other.next(within=0.2) is None

    with hub_of(looks, ask=lambda: None) as hub:
        watching(hub, A, B, then=then)


def test_looks_take_a_share_of_one_processor_however_many_come_and_go(looks: Looks) -> None:
    looks.burns = 0.01

    async def then() -> None:
        for n in range(6):  # somebody who loads page after page
            for each in (A, topic(str(n))):
                watch = hub.watch(each)
                assert watch is not None
                await news(watch)
                hub.leave(watch)

    with hub_of(looks) as hub:
        began = time.monotonic()
        watching(hub, then=then)
        took = time.monotonic() - began
    # Each look was made up for before the next one began: this cannot take less, on any machine.
    assert sum(looks.count.values()) == 12
    assert took >= 11 * SHARE * looks.burns


def test_who_comes_anew_again_and_again_does_not_keep_others_from_their_news(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        await news(watch)
        others = [hub.watch(topic(str(n))) for n in range(30)]
        looked = looks.count["a"]
        looks.text = "two"
        assert (await news(watch)).html == "a two"
        assert looks.count["a"] == looked + 1
        assert len(looks.count) <= 5  # most of those who came are not served yet
        for each in others:
            assert each is not None
            hub.leave(each)

    looks.burns = 0.002
    with hub_of(looks) as hub:
        watching(hub, A, then=then)


def test_a_hub_has_one_thread_whoever_comes_and_goes(looks: Looks) -> None:
    async def then() -> None:
        for n in range(200):
            watch = hub.watch(topic(str(n % 3)))
            assert watch is not None
            if n % 7 == 0:
                await news(watch)
            hub.leave(watch)
            assert sum(each.name == "looks" for each in threading.enumerate()) <= 2

    with hub_of(looks) as hub:
        watching(hub, then=then)


def test_there_are_so_many_viewers_and_no_more(looks: Looks) -> None:
    async def then(*_: Watch) -> None:
        assert hub.watch(B) is None

    with hub_of(looks, most=3) as hub:
        watching(hub, A, A, A, then=then)
        watching(hub, A, B, B, then=then)


def test_of_one_person_there_are_so_many_and_others_come_in(looks: Looks) -> None:
    async def then() -> None:
        watches = [hub.watch(topic(str(n)), "eva", most=3) for n in range(5)]
        assert [each is None for each in watches] == [False] * 3 + [True] * 2
        ops = hub.watch(A, "ops", most=3)
        assert watches[0] is not None
        hub.leave(watches[0])
        again = hub.watch(B, "eva", most=3)
        for each in (again, ops, *watches[1:3]):
            assert each is not None
            hub.leave(each)

    with hub_of(looks) as hub:
        watching(hub, then=then)


def test_turns_go_round_the_people_however_many_pages_one_has_open(looks: Looks) -> None:
    """Else who has most of the pages has most of the looks, and news are late for all others."""

    async def then() -> None:
        many = [hub.watch(topic(str(n)), "eva") for n in range(30)]
        one = hub.watch(A, "ops")
        assert one is not None
        await news(one)
        while looks.count["a"] < 10:
            looks.text = f"number {looks.count['a']}"
            await news(one)
        others = sum(count for name, count in looks.count.items() if name != "a")
        assert others <= 2 * looks.count["a"] + 2
        for each in (one, *many):
            assert each is not None
            hub.leave(each)

    looks.burns = 0.001  # 50 looks a second, and 31 pages that are due 100 times
    with hub_of(looks) as hub:
        watching(hub, then=then)


def test_who_comes_anew_is_not_brought_forward(looks: Looks) -> None:
    turns = Turns()
    assert turns.rank(["eva"]) == turns.rank([]) == 0
    turns.took(["eva"])
    turns.took(["ops", "kim"])
    assert turns.rank(["eva"]) < turns.rank(["ops"]) == turns.rank(["kim"])
    assert turns.rank(["ops", "eva"]) == turns.rank(["eva"])
    for n in range(5000):
        turns.took([str(n)])
    assert len(turns._last) == 1000


def test_closing_sends_everybody_away(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        await news(watch)
        hub.close()
        await watch.next(within=20)
        assert watch.is_closed
        assert hub.watch(B) is None

    with hub_of(looks) as hub:
        watching(hub, A, then=then)


def test_half_a_surrogate_pair_can_be_sent(looks: Looks) -> None:
    async def then(watch: Watch) -> None:
        assert (await news(watch)).html == "a ?"

    looks.text = "\ud800"
    with hub_of(looks) as hub:
        watching(hub, A, then=then)


# Pages of the whole.


def test_the_menu_counts_the_dead_on_every_page(site: PageSite, redis_url: str) -> None:
    assert "hidden" in tree(site.get("/operations")).by_id("nav-dead").attrs
    with site.watch("/operations", frame=True) as news:
        news.next("whole")
        die(Jobd(redis_url).queue("q"), 3)
        found = news.until("parts", lambda it: "nav-dead" in it["parts"])["parts"]["nav-dead"]
    assert tree(found).text == "3 dead"
    assert tree(site.get("/")).by_id("nav-dead").text == "3 dead"


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


def test_a_look_that_hangs_delays_nobodys_answer(redis_url: str, tmp_path: Path) -> None:
    go, begun = threading.Event(), threading.Event()

    def hang(*_: Any) -> dict[str, Any]:
        begun.set()
        assert go.wait(60)
        return {"badges": Counts()}

    page = Page("/", "p", "P", "p.html", lambda *_: {}, live=Live(hang, "frame.html"))
    other = Page("/{x}", "q", "Q", "frame.html", lambda *_: {})
    site = PageSite(redis_url, tmp_path, table=[page, other])
    with site.watch("/", frame=True) as news:
        assert begun.wait(60)
        assert site.ask("/x").status_code == 200
        go.set()
        news.next("parts")


def test_ages_go_by_when_it_is_sent_not_by_when_it_was_seen(site: PageSite, redis_url: str) -> None:
    Jobd(redis_url).queue("q").add("x")
    with site.watch("/queues/q") as first:
        now = first.next("whole")["now"]
        eventually("a look later", lambda: site.pages.hub._watches)
        time.sleep(0.05)
        with site.watch("/queues/q") as second:
            assert second.next("whole")["now"] >= now + 50


def test_a_stream_without_news_says_that_it_is_there(
    site: PageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobd.web.pages.stream.BEAT", 0.05)
    with site.watch("/operations") as news:
        news.next("whole")
        assert news.next("beat")["now"] > 0


def test_how_old_it_is_is_said_of_what_is_shown_for_too_long(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that it is not so any more, though nothing has changed."""
    monkeypatch.setattr("jobd.web.pages.stream.STEP", 0.05)
    monkeypatch.setattr("jobd.web.pages.stream.LATE_MS", 300)
    go, hangs = threading.Event(), threading.Event()

    def hang(*_: Any) -> dict[str, Any]:
        assert not hangs.is_set() or go.wait(60)
        return {"badges": Counts()}

    page = Page("/", "p", "P", "p.html", lambda *_: {}, live=Live(hang, "frame.html"))
    site = PageSite(redis_url, tmp_path, table=[page])
    with site.watch("/", frame=True) as news:
        assert "late" not in news.next("parts")
        hangs.set()
        first = news.until("beat", lambda it: "late" in it)["late"]
        assert first > 300
        news.until("beat", lambda it: it["late"] > first)
        go.set()
        assert "late" not in news.until("beat", lambda it: "late" not in it)


def test_of_a_look_at_less_than_the_page_only_parts_are_sent(
    redis_url: str, tmp_path: Path
) -> None:
    read = lambda *_: {"badges": Counts()}  # noqa: E731
    page = Page("/", "p", "P", "login.html", read, live=Live(read, "frame.html"))
    site = PageSite(redis_url, tmp_path, table=[page])
    with site.watch("/", frame=True) as news:
        assert set(news.next("parts")["parts"]) == FRAME


def test_who_looks_at_all_queues_reads_them_together(redis_url: str, tmp_path: Path) -> None:
    """Whatever they may do: many pages cost about as much as one."""
    site = PageSite(redis_url, tmp_path)
    site.pages._shared_for = 60
    for n in range(30):
        Jobd(redis_url).queue(f"q{n}").add("x")
    with site.watch("/") as news:
        news.next("whole")
        site.client.config_resetstat()
        with site.watch("/", "operator") as others:
            assert 'id="queue-q29"' in others.next("whole")["html"]
    assert _calls(site, "zrange") == 0


def _calls(site: PageSite, command: str) -> int:
    said: Any = site.client.info("commandstats")
    return int(said.get(f"cmdstat_{command}", {"calls": 0})["calls"])


def test_what_somebody_has_just_done_is_seen_on_the_page_that_follows(site: PageSite) -> None:
    """Only looks are content with what others have read."""
    site.pages._shared_for = 60
    queue = site.api.house.store
    site.client.sadd("jobd:queues", "q")
    assert "paused" not in tree(site.get("/")).by_id("queue-q").text
    queue("q").pause("")
    assert "paused" in tree(site.get("/")).by_id("queue-q").text


def test_parameters_that_a_page_does_not_know_make_no_other_look(
    site: PageSite, redis_url: str
) -> None:
    Jobd(redis_url).queue("q").add("x")
    watches = site.pages.hub._watches
    with site.watch("/queues/q?x=1") as one, site.watch("/queues/q?x=2&queue=q") as other:
        assert one.next("whole")["html"] == other.next("whole")["html"]
        [its] = watches
        assert (its.query, len(watches[its])) == ((), 2)
    with site.watch("/dead?queue=q&x=1") as news:
        news.next("whole")
        [its] = watches
        assert its.query == (("queue", "q"),)


def test_a_page_names_all_parameters_that_it_goes_by() -> None:
    """What it reads of the query is in its row: else a stream shows something else than its page."""
    for page in PAGES:
        if page.live is not None:
            source = inspect.getsource(sys.modules[page.read.__module__])
            read = set(re.findall(r"""query(?:\.get\(|\[)"(\w+)""", source)) - {"cursor"}
            of_others = {"queue"} if page.name in ("schedule", "slot") else set()
            assert read - of_others <= set(page.query), page.name


def test_one_person_has_so_many_streams(site: PageSite) -> None:
    site.pages._auth.most_streams = 2
    with site.watch("/") as one, site.watch("/dead") as two:
        one.first()
        two.first()
        assert site.ask("/live", headers={"accept": "*/*"}).status_code == 503
        with site.watch("/", "operator") as other:
            other.first()


def test_a_stream_ends_when_it_is_not_known_for_long_who_looks(
    site: PageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where somebody sees to it that there is never a thread to look him up."""
    monkeypatch.setattr("jobd.web.pages.stream.BEAT", 0.02)
    monkeypatch.setattr("jobd.web.pages.stream.CHECKED_EVERY", 0.02)
    asked = []

    def crowded(*_: Any) -> bool:
        asked.append(1)
        raise Crowded if len(asked) != 2 else StoreUnusable("redis: may not be asked")

    monkeypatch.setattr(site.pages._auth, "is_still", crowded)
    with site.watch("/operations") as news:
        news.until("end", lambda _: True)
    assert len(asked) == MOST_UNKNOWN


def test_while_redis_is_away_nobody_is_sent_away(
    site: PageSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And who is back is asked for anew."""
    monkeypatch.setattr("jobd.web.pages.stream.BEAT", 0.02)
    monkeypatch.setattr("jobd.web.pages.stream.CHECKED_EVERY", 0.02)
    asked, away = [], BrokerUnavailable("redis: away")

    def unknown(*_: Any) -> bool:
        asked.append(1)
        raise away

    with site.watch("/operations") as news:
        news.until("whole", lambda _: True)
        look = site.pages.hub._look
        monkeypatch.setattr(site.pages.hub, "_look", Looks.failing(away))
        news.until("away", lambda _: True)
        monkeypatch.setattr(site.pages._auth, "is_still", unknown)
        eventually("many answers", lambda: len(asked) > 5 * MOST_UNKNOWN)
        news.until("beat", lambda _: True)
        monkeypatch.setattr(site.pages.hub, "_look", look)
        news.until("end", lambda _: True)


def test_who_may_not_look_has_no_stream(site: PageSite) -> None:
    assert site.ask("/live", who=None).status_code == 303
