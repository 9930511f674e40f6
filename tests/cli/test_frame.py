"""What top draws and status prints: any picture fits any terminal, and nothing of it moves the cursor."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jobd.broker.flow import Flow
from jobd.cli import picture_lines as lines
from jobd.cli.growth_lines import growth_lines
from jobd.cli.picture import Picture, Store
from jobd.cli.rates import Rates
from jobd.cli.table import _cells
from jobd.cli.top_frame import KEYS, View, frame, ordered
from jobd.core.portrait import Daemon, Growth, Host, QueueView, Reload, Worker
from jobd.core.server_facts import ServerFacts, Unfit
from jobd.core.states import STATES

SGR = re.compile(r"\x1b\[\d+m")
TEXT = st.text(max_size=30)
COUNT = st.integers(0, 10**12)
SPAN = st.floats(0, 1e7)

WORKERS = st.builds(
    Worker, slot=st.sampled_from(["email.1", "email.2", "a-rather-long-name-of-a-queue.17"]),
    queue=st.sampled_from(["email", "reports"]), phase=st.sampled_from(["idle", "busy", "vacant"]),
    pid=st.none() | st.integers(1, 4_000_000), incarnation=st.none() | TEXT, restarts=COUNT, last_exit=st.none(),
    settled=COUNT, running=st.integers(0, 9), job=st.none() | TEXT, task=st.none() | TEXT, running_for=st.none() | SPAN,
    up_for=st.none() | SPAN, memory=st.none() | COUNT, exits=st.dictionaries(TEXT, COUNT, max_size=3),
    leaving=st.none() | TEXT,
)  # fmt: skip
DAEMONS = st.builds(
    Daemon, running=st.booleans(), stopping=st.booleans(), pid=st.integers(1, 4_000_000), started_at=SPAN, up_for=SPAN,
    generation=st.integers(1, 99), last_error=st.none() | TEXT, helpers=st.dictionaries(TEXT, TEXT, max_size=3),
    workers=st.lists(WORKERS, max_size=6), nonce=st.sampled_from(["a", "b"]), jobd=TEXT, host=TEXT,
    answers=st.sampled_from(["yes", "no", "stopped", "unknown"]),
    queues=st.dictionaries(TEXT, st.builds(QueueView, wanted=COUNT, gave_up=st.booleans()), max_size=2),
    reload=st.none() | st.builds(Reload, ago=SPAN, running=st.booleans(), error=st.none() | TEXT),
)  # fmt: skip
HOSTS = st.builds(Host, key=TEXT, silent_for=SPAN, daemon=st.none() | DAEMONS, why_unread=st.none())
COUNTS = st.fixed_dictionaries(dict.fromkeys(STATES, COUNT))
STORES = st.builds(
    Store, server=st.none() | st.just(ServerFacts(name="Redis", version="7", role="master", eviction="x", persistent=True)),
    unfit=st.lists(st.builds(Unfit, level=st.just("warning"), why=TEXT), max_size=2),
    counts=st.dictionaries(TEXT, COUNTS, max_size=3), hosts=st.lists(HOSTS, max_size=3), trouble=st.none() | TEXT,
)  # fmt: skip
PICTURES = st.builds(
    Picture, runtime_dir=TEXT, url=TEXT, daemon=st.none() | DAEMONS, store=STORES, unreadable=st.none() | TEXT,
    problems=st.lists(TEXT, max_size=5),
)  # fmt: skip


def a_worker(**changes: Any) -> Worker:
    fields: dict[str, Any] = {
        "slot": "email.1", "queue": "email", "phase": "idle", "pid": 8, "incarnation": "n.1", "restarts": 0,
        "last_exit": None,
    }  # fmt: skip
    return Worker(**(fields | changes))


def a_daemon(**changes: Any) -> Daemon:
    fields: dict[str, Any] = {
        "running": True, "stopping": False, "pid": 7, "started_at": 1.0, "up_for": 90.0, "generation": 1,
        "last_error": None, "helpers": {"keeper": "running"}, "workers": [a_worker()], "nonce": "n",
        "host": "web1", "answers": "yes", "queues": {"email": QueueView(wanted=1)}, "workers_in_all": 1,
    }  # fmt: skip
    return Daemon(**(fields | changes))


def a_picture(daemon: Daemon | None = None, **store: Any) -> Picture:
    return Picture(runtime_dir="/run/jobd", url="redis://x", daemon=daemon, store=Store(**store))


def shown(found: list[lines.Line]) -> str:
    return "\n".join(line.text for line in found)


@settings(max_examples=25, deadline=None)
@given(
    picture=PICTURES, columns=st.integers(1, 200), rows=st.integers(1, 60), scroll=st.integers(0, 99),
    order=st.sampled_from(sorted(KEYS.values())), everywhere=st.booleans(),
)  # fmt: skip
def test_any_picture_fits_any_terminal(
    picture: Picture, columns: int, rows: int, scroll: int, order: Any, everywhere: bool
) -> None:
    view = View(order=order, everywhere=everywhere, scroll=scroll)
    drawn = frame(picture, view, (columns, rows), clock="12:00:00", rates={}, queue_rates={})
    assert len(drawn.lines) <= max(1, rows)
    for line in drawn.lines:
        bare = SGR.sub("", line)
        assert bare.isprintable()
        assert _cells(bare) <= columns


def test_what_is_wrong_is_said_above_all_tables() -> None:
    broken = a_daemon(
        answers="no",
        queues={"email": QueueView(wanted=2, gave_up=True, useless=5)},
        reload=Reload(ago=120.0, error="jobd.toml: app: no module 'shp'"),
    )
    text = shown(lines.daemon_lines(a_picture(broken), None))
    assert "hangs, pid 7" in text
    assert "does not answer" in text
    assert "queue email gave up: 5 workers" in text
    assert "reload refused 2m ago: jobd.toml: app: no module 'shp'" in text


def test_restarts_have_their_causes_and_leavers_a_word() -> None:
    workers = [
        a_worker(exits={"crash": 3, "recycled": 12}),
        a_worker(leaving="reload", running=1, job="j", task="t", running_for=65.0),
    ]
    text = shown(lines.worker_lines([lines.Place("web1", each) for each in workers], None))
    assert "recycled 12, crash 3" in text
    assert "leaving: reload" in text
    assert "1m5s: j t" in text


def test_the_task_that_makes_workers_grow_is_named_over_all_hosts() -> None:
    """Small growth is no news."""
    leak = Growth(task="render-pdf", bytes=110_000_000, jobs=100)
    calm = Growth(task="resize", bytes=3_000_000, jobs=5000)
    queues = {"docs": QueueView(wanted=1, growth=[leak, calm])}
    hosts = [Host(key="b", silent_for=2.0, daemon=a_daemon(nonce="m", queues=queues))]
    picture = a_picture(a_daemon(queues=queues), hosts=hosts)
    assert [line.text for line in growth_lines(picture, None)] == [
        "", "grows    docs: render-pdf: +1.1MB a job over 200 jobs"
    ]  # fmt: skip
    assert growth_lines(a_picture(a_daemon()), None) == []


def test_other_hosts_are_told_apart_and_silent_ones_named() -> None:
    hosts = [
        Host(key="a", silent_for=1.0, daemon=a_daemon()),
        Host(key="b", silent_for=2.0, daemon=a_daemon(nonce="m", host="web2", jobd="9")),
        Host(key="c", silent_for=185.0, daemon=a_daemon(nonce="o", host="web3")),
        Host(key="web4-12ab", silent_for=3.0, why_unread="newer"),
    ]
    picture = a_picture(a_daemon(), hosts=hosts)
    text = shown(lines.host_lines(picture, None))
    assert "web1 (here)" in text
    assert "silent for 3m5s" in text
    assert re.search("web4-12ab .*of another version", text)
    assert {place.host for place in lines.places(picture, everywhere=True)} == {"web1", "web2"}
    assert {place.host for place in lines.places(picture, everywhere=False)} == {"web1"}
    assert {place.host for place in lines.places(a_picture(hosts=hosts), everywhere=False)} == {
        "web1", "web2",
    }  # fmt: skip
    assert lines.host_lines(a_picture(a_daemon(), hosts=hosts[:1]), None) == []


def test_two_daemons_of_one_host_are_told_apart() -> None:
    other = a_daemon(nonce="m", pid=9)
    picture = a_picture(a_daemon(), hosts=[Host(key="b", silent_for=1.0, daemon=other)])
    assert {place.host for place in lines.places(picture, everywhere=True)} == {"web1:7", "web1:9"}


def test_queues_say_how_many_of_their_workers_are_there_on_all_hosts() -> None:
    other = a_daemon(
        nonce="m", host="web2", workers=[], queues={"email": QueueView(wanted=3, gave_up=True)}
    )
    counts = {"email": dict.fromkeys(STATES, 0), "nobody": dict.fromkeys(STATES, 1)}
    picture = a_picture(
        a_daemon(), hosts=[Host(key="b", silent_for=2.0, daemon=other)], counts=counts,
        flows={"email": Flow(), "nobody": Flow()},
    )  # fmt: skip
    text = shown(lines.queue_lines(picture, None))
    assert "1 of 4" in text
    assert "gave up on web2" in text
    assert re.search("nobody .* none", text)


def test_workers_are_put_in_the_order_of_a_key() -> None:
    found = [
        lines.Place("h", a_worker(slot="q.10", queue="q", memory=5, restarts=1)),
        lines.Place("h", a_worker(slot="q.9", queue="q", running_for=3.0, incarnation="fast")),
        lines.Place("h", a_worker(slot="q.1", queue="q", memory=9, restarts=4)),
    ]

    def names(order: Any) -> list[str]:
        return [place.worker.slot for place in ordered(found, order, {"fast": 100.0})]

    assert names("slot") == ["q.1", "q.9", "q.10"]
    assert names("time") == ["q.9", "q.1", "q.10"]
    assert names("memory") == ["q.1", "q.10", "q.9"]
    assert names("rate") == ["q.9", "q.1", "q.10"]
    assert names("restarts") == ["q.1", "q.10", "q.9"]


def test_workers_are_scrolled_to_and_the_foot_stays() -> None:
    workers = [a_worker(slot=f"email.{n}", incarnation=str(n)) for n in range(1, 101)]
    picture = a_picture(a_daemon(workers=workers))

    def drawn(scroll: int) -> str:
        view = View(scroll=scroll, colour=False)
        return "\n".join(frame(picture, view, (100, 20), clock="", rates={}, queue_rates={}).lines)

    assert "email.1 " in drawn(0)
    assert "email.100 " not in drawn(0)
    assert "email.100 " in drawn(10**6)
    assert drawn(0).endswith("scroll")


def test_rates_are_of_the_last_seconds_and_forget_who_is_gone() -> None:
    rates = Rates()
    for second in range(20):
        rates.note("a", "q", second * 10, float(second))
        rates.note("b", "q", 5, float(second))
    rates.note("a", "q", 0, 19.0)  # the same instant again says nothing
    assert rates.by_worker() == {"a": 10.0, "b": 0.0}
    assert rates.by_queue() == {"q": 10.0}
    for second in range(20, 40):
        rates.note("a", "q", 190, float(second))
    assert rates.by_worker()["a"] == 0.0
    rates.forget_all_but({"b"})
    assert set(rates.by_worker()) == {"b"}


def test_a_rate_needs_two_looks() -> None:
    rates = Rates()
    rates.note("a", "q", 7, 1.0)
    assert rates.by_worker() == {}
