"""Each script of schedules, on every kind of server: what it does, and that a repeat does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest

from jobd.broker.commands import Blame
from jobd.broker.connection import Client
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.schedules import DECLARED, ScheduleStore
from jobd.broker.store import Store
from jobd.broker.views import Views
from jobd.core.errors import BrokerError, StoreFull
from jobd.core.schedule import Schedule, read_schedule
from jobd.core.unique import Unique, spell_lock

NOW = 1_800_000_000_000  # 2027-01-15T08:00:00Z
MINUTE = 60_000
TEN_MINUTES = 600_000


def store(client: Client, now: int = NOW) -> ScheduleStore:
    return ScheduleStore(client, "t", "q", now=now)


def minutely(name: str = "n", **more: Any) -> Schedule:
    return read_schedule(name, "t", **({"cron": "* * * * *"} | more))


def dump(client: Client) -> dict[bytes, object]:
    return {key: client.dump(key) for key in sorted(client.keys("*"))}


def waiting(client: Client) -> list[str]:
    return Views(client, "t").jobs("q", "waiting", 1000)


def test_a_slot_becomes_one_job_with_everything_it_asked_for(client: Client) -> None:
    """Its id is the slot; a second host finds the schedule moved on."""
    schedule = minutely(args=b'{"n":1}', options={"priority": 2, "attempts": 3, "expires": "1h"})
    assert store(client).put(schedule) == "created"
    assert store(client, NOW + MINUTE - 1).fire_due() == ([], NOW + MINUTE - 1, 1, True)
    later = store(client, NOW + MINUTE)
    _, _, [due] = later.look()

    [fired], _, wait, _ = later.fire_due()
    [again] = later.fire([due], NOW + MINUTE)

    assert (fired.word, fired.slots, wait) == ("fired", (NOW + MINUTE,), MINUTE)
    assert again.word == "moved"
    assert later.fire_due().wait == MINUTE
    assert waiting(client) == ["n:2027-01-15T08:01:00Z"]
    job = Views(client, "t").info("q", "n:2027-01-15T08:01:00Z")
    assert job is not None
    assert (job.task, job.args, job.priority) == ("t", {"n": 1}, 2)
    assert (job.options, job.expires_at) == ({"attempts": 3}, NOW + MINUTE + 3_600_000)
    [claimed] = claim(client, NOW + MINUTE)
    assert claimed.more[b"options"] == b'{"attempts":3}'
    info = later.get("n")
    assert info is not None
    assert (info.last_slot, info.last_job) == (NOW + MINUTE, job.id)
    assert (info.fired, info.missed_slots, info.next_at) == (1, 0, NOW + 2 * MINUTE)


def claim(client: Client, now: int) -> list[Any]:
    worker = Store(client, "t", "q", now=now)
    worker.join("w.1", 30_000)
    return worker.claim("w.1", 30_000).jobs


def test_a_plain_job_of_a_schedule_is_as_lean_as_any(client: Client) -> None:
    """And stands in line behind what was added before it."""
    Store(client, "t", "q", now=NOW).add([NewJob("first", "t", b"{}")])
    store(client).put(minutely())
    store(client, NOW + MINUTE).fire_due()

    record = client.hgetall("t:{q}:job:n:2027-01-15T08:01:00Z")
    assert sorted(record) == [b"args", b"at", b"seq", b"task"]
    assert waiting(client) == ["first", "n:2027-01-15T08:01:00Z"]
    assert client.llen("t:{q}:wake") == 2
    [first] = claim(client, NOW + MINUTE)
    [second] = claim(client, NOW + MINUTE)
    assert (first.id, second.id) == (b"first", b"n:2027-01-15T08:01:00Z")
    assert second.more == {}


def test_the_same_again_changes_nothing_but_when_it_was_declared(client: Client) -> None:
    """Idempotent: no slot moves, due or not."""
    store(client).put(minutely(), origin=DECLARED, age_ms=5)
    before = dump(client)
    assert store(client).put(minutely(), origin=DECLARED, age_ms=5) == "same"
    assert dump(client) == before

    late = store(client, NOW + MINUTE + 5)
    assert late.put(minutely(), origin=DECLARED, age_ms=5 + MINUTE) == "same"
    assert [due.slot for due in late.look()[2]] == [NOW + MINUTE]
    assert late.mentions()["n"].declared_at == str(NOW + MINUTE + 5)


def test_a_change_of_what_is_added_keeps_a_slot_that_is_due(client: Client) -> None:
    """The slot is in both, and fires once, with the new arguments."""
    store(client).put(minutely(args=b'{"n":1}'))
    late = store(client, NOW + MINUTE + 5)
    assert late.put(minutely(args=b'{"n":2}')) == "changed"
    late.fire_due()

    [job_id] = waiting(client)
    job = Views(client, "t").info("q", job_id)
    assert job is not None
    assert job.args == {"n": 2}


def test_a_change_of_time_fires_what_was_due_before_it(client: Client) -> None:
    """By the old record; then only slots of the new one fire (I-23)."""
    store(client).put(minutely(args=b'{"n":1}'))
    late = store(client, NOW + MINUTE + 5)
    _, _, [seen] = late.look()
    assert late.put(minutely(cron="30 * * * *", args=b'{"n":2}')) == "changed"

    assert waiting(client) == ["n:2027-01-15T08:01:00Z"]
    assert late.fire([seen], NOW + MINUTE + 5)[0].word == "moved"
    end = store(client, NOW + 40 * MINUTE)
    end.fire_due()
    assert sorted(waiting(client)) == ["n:2027-01-15T08:01:00Z", "n:2027-01-15T08:30:00Z"]


def test_what_was_seen_before_a_change_fires_nothing(client: Client) -> None:
    """The look of a host is older than the change, the slot the same: the host looks again."""
    store(client).put(minutely())
    late = store(client, NOW + MINUTE)
    _, _, [seen] = late.look()
    late.put(minutely(args=b'{"n":2}'))

    assert late.fire([seen], NOW + MINUTE)[0].word == "changed"
    assert late.fire_due().fired[0].word == "fired"


def test_of_two_hosts_the_one_that_loaded_its_code_last_is_right(client: Client) -> None:
    """While code is rolled out, hosts with the old one do not change it back; nor does a put stay
    for ever: code that is loaded after it goes before it."""
    old, new, by_hand = minutely(), minutely(cron="30 * * * *"), minutely(cron="15 * * * *")
    assert store(client).put(old, origin=DECLARED, age_ms=9_000) == "created"
    assert store(client).put(new, origin=DECLARED, age_ms=2_000) == "changed"
    at = NOW + 30_000
    assert store(client, at).put(old, origin=DECLARED, age_ms=39_000) == "older"
    assert store(client, at).put(new, origin=DECLARED, age_ms=32_000) == "same"
    info = store(client).get("n")
    assert info is not None
    assert (info.cron, info.declared_at) == ("30 * * * *", at)
    assert store(client, at).put(by_hand) == "changed"
    assert store(client, at).put(new, origin=DECLARED, age_ms=32_000) == "older"
    assert store(client).get("n").origin == "api"  # type: ignore[union-attr]
    assert store(client, at + 5_000).put(new, origin=DECLARED, age_ms=1) == "changed"
    assert store(client).get("n").origin == DECLARED  # type: ignore[union-attr]


def test_pause_and_resume(client: Client) -> None:
    """What would have fired in between is not made up for; a change keeps the pause."""
    store(client).put(minutely(missed="all"))
    assert store(client, NOW + MINUTE + 5).pause("n") == "paused"
    before = dump(client)
    assert store(client, NOW + MINUTE + 9).pause("n") == "paused"
    assert dump(client) == before
    hour = store(client, NOW + 60 * MINUTE + 5)
    assert hour.fire_due() == ([], hour.time(), None, True)
    assert hour.put(minutely(cron="*/2 * * * *", missed="all")) == "changed"
    assert hour.fire_due() == ([], hour.time(), None, True)
    info = hour.get("n")
    assert info is not None
    assert (info.paused, info.next_at) == (True, None)

    assert hour.resume("n") == "resumed"
    assert hour.resume("n") == "running"
    assert hour.fire_due() == ([], hour.time(), 2 * MINUTE - 5, True)
    assert waiting(client) == []
    store(client, NOW + 62 * MINUTE).fire_due()
    assert waiting(client) == ["n:2027-01-15T09:02:00Z"]
    assert (hour.pause("x"), hour.resume("x"), hour.remove("x")) == ("gone", "gone", "gone")


def test_run_now_is_beside_the_slots(client: Client) -> None:
    """Also of a paused one; repeated after a lost reply it is the same job."""
    store(client).put(minutely(args=b'{"n":12345678901234567890}', options={"priority": 0}))
    store(client).pause("n")
    for _ in range(2):
        assert store(client).add_now("n", "by-hand") is not None
    assert store(client).add_now("x", "other") is None

    assert waiting(client) == ["by-hand"]
    raw: Any = client.hget("t:{q}:job:by-hand", "args")
    assert raw == b'{"n":12345678901234567890}'
    assert Views(client, "t").info("q", "by-hand").priority == 0  # type: ignore[union-attr]


def test_what_was_put_stays_and_what_was_declared_fires_for_ten_minutes(client: Client) -> None:
    """A slot of code that is perhaps no more is not fired before somebody says that it is."""
    store(client).put(minutely("put"))
    store(client).put(minutely("said", missed="all"), origin=DECLARED)
    late = store(client, NOW + TEN_MINUTES + MINUTE)

    words = {fired.name: fired.word for fired in late.fire_due().fired}
    assert words == {"put": "fired", "said": "undeclared"}
    assert late.put(minutely("said", missed="all"), origin=DECLARED) == "same"
    [said] = late.fire_due().fired
    assert len(said.slots) == 11


def test_more_due_than_one_look_shows_and_some_of_it_unusable(client: Client) -> None:
    """What cannot be fired does not stand in the way of the others."""
    for number in range(120):
        store(client).put(minutely(f"n{number:03}"), origin=DECLARED if number < 60 else "api")
    client.hset("t:{q}:schedule:n100", "tz", "Nowhere/At_All")
    client.hset("t:{q}:schedule:n101", "cron", "never")
    client.hdel("t:{q}:schedule:n102", "cron")
    client.delete("t:{q}:schedule:n103", "t:{q}:schedule:n104")
    client.set("t:{q}:schedule:n104", "another type")
    client.zadd("t:{q}:schedules", {b"\xff\xfe": NOW, "no name": NOW})

    fired = store(client, NOW + TEN_MINUTES + MINUTE).fire_due().fired

    words = [each.word for each in fired]
    assert (words.count("fired"), words.count("undeclared")) == (55, 60)
    assert words.count("unusable") == 7
    assert "Nowhere/At_All" in next(each.why for each in fired if each.name == "n100")
    assert len(waiting(client)) == 110  # two slots each are not older than a minute


def test_an_older_copy_of_the_store_fires_nothing_again(client: Client) -> None:
    """A host knows up to where all is decided on; and the jobs' own ids are known."""
    store(client).put(minutely())
    copy = {key: client.dump(key) for key in client.keys("*")}
    late = store(client, NOW + MINUTE + 5)
    late.fire_due()
    client.flushall()
    for key, raw in copy.items():
        client.restore(key, 0, raw)

    late = ScheduleStore(client, "t", "q", floor_of=lambda _: NOW + MINUTE + 5, now=late.time())
    [again] = late.fire_due().fired
    assert (again.word, again.slots) == ("fired", ())
    assert waiting(client) == []
    [next_one] = store(client, NOW + 2 * MINUTE).fire_due().fired
    assert next_one.slots == (NOW + 2 * MINUTE,)


def test_a_job_that_is_there_already_is_not_added_again(client: Client) -> None:
    """By a host without memory: the record is known, and for a minute after its end."""
    for ended in (False, True):
        client.flushall()
        store(client).put(minutely())
        later = store(client, NOW + MINUTE)
        later.fire_due()
        if ended:
            jobs = Store(client, "t", "q", now=NOW + MINUTE)
            jobs.cancel(waiting(client))
            jobs.delete(["n:2027-01-15T08:01:00Z"])
        client.zadd("t:{q}:schedules", {"n": NOW + MINUTE})
        assert later.fire_due().fired[0].word == "fired"
        assert len(waiting(client)) == (0 if ended else 1)
        assert later.get("n").fired == 1  # type: ignore[union-attr]


def test_at_maxmemory_slots_wait_and_all_else_goes_on(client: Client) -> None:
    """Firing is adding: refused whole, and done when there is memory again."""
    store(client).put(minutely(missed="all"))
    later = store(client, NOW + 3 * MINUTE)
    client.config_set("maxmemory", "1")
    with pytest.raises(StoreFull):
        later.fire_due()
    assert later.put(minutely(missed="all"), origin=DECLARED) == "same"
    assert later.put(minutely("other")) == "created"
    assert (later.pause("other"), later.resume("other")) == ("paused", "resumed")
    assert later.remove("other") == "removed"
    client.config_set("maxmemory", "0")

    assert later.fire_due().fired[0].slots == (NOW + MINUTE, NOW + 2 * MINUTE, NOW + 3 * MINUTE)


def test_a_slot_whose_lock_is_held_adds_no_job(client: Client) -> None:
    """No two runs of it at once; of several that were missed, one."""
    store(client).put(minutely(missed="all", options={"unique": True}))
    first = store(client, NOW + 10 * MINUTE).fire_due().fired[0]
    assert (len(first.slots), first.jobs, len(waiting(client))) == (10, 1, 1)
    claim(client, NOW + 10 * MINUTE)
    second = store(client, NOW + 11 * MINUTE).fire_due().fired[0]
    assert (second.word, len(second.slots), second.jobs) == ("fired", 1, 0)
    assert waiting(client) == []
    info = store(client).get("n")
    assert info is not None
    assert (info.fired, info.next_at) == (1, NOW + 12 * MINUTE)
    assert info.last_job == "n:2027-01-15T08:01:00Z"  # who holds the lock
    Store(client, "t", "q", now=NOW + 11 * MINUTE).cancel([info.last_job])
    assert store(client).add_now("n", "by-hand") is not None
    assert waiting(client) == []


CALLS: dict[str, Callable[[ScheduleStore], object]] = {
    "put": lambda s: s.put(minutely(cron="30 * * * *")),
    "put_new": lambda s: s.put(minutely("new")),
    "look": lambda s: s.look(),
    "fire": lambda s: s.fire_due(),
    "pause": lambda s: s.pause("n"),
    "resume": lambda s: s.resume("off"),
    "remove": lambda s: s.remove("n"),
    "run": lambda s: s.add_now("n", "job"),
    "get": lambda s: s.get("n"),
    "all": lambda s: s.all(),
    "mentions": lambda s: s.mentions(),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_script_fails_before_its_first_write_or_not_at_all(client: Client, call: str) -> None:
    """A key of another type is named or passed over, and nothing was done by halves (I-03)."""
    keys = [
        "t:{q}:schedules", "t:{q}:schedule:n", "t:{q}:schedule:off", "t:{q}:waiting",
        "t:{q}:meta", "t:{q}:wake", f"t:{{q}}:recent:{(NOW + MINUTE) // 30_000}", "t:{q}:job:n:2027-01-15T08:01:00Z",
    ]  # fmt: skip
    for key in keys:
        client.flushall()
        store(client).put(minutely())
        store(client).put(minutely("off"))
        store(client).pause("off")
        client.delete(key)
        client.set(key, "another type")
        before = dump(client)
        error = attempted(CALLS[call], store(client, NOW + MINUTE))

        if error:
            assert "JOBDTYPE" in error or "WRONGTYPE" in error, (key, error)
            assert dump(client) == before, key


def attempted(call: Callable[[ScheduleStore], object], schedules: ScheduleStore) -> str | None:
    """Try; give the error's text, None when all went well."""
    try:
        call(schedules)
    except BrokerError as error:
        return str(error)
    return None


def test_a_slot_that_comes_while_a_schedule_is_put_is_not_its_own(client: Client) -> None:
    """Reckoned a moment before it, sent a moment after it."""

    class Late(ScheduleStore):
        """Its first reading of the clock is old by the time it is used."""

        clocks = (NOW + MINUTE - 1, NOW + MINUTE + 1)

        def time(self) -> int:
            first, self.clocks = self.clocks[0], (*self.clocks[1:], self.clocks[-1])
            return first

    late = Late(client, "t", "q", now=NOW + MINUTE + 1)
    assert late.put(minutely()) == "created"
    assert late.get("n").next_at == NOW + 2 * MINUTE  # type: ignore[union-attr]
    late.pause("n")
    late.clocks = (NOW + MINUTE - 1, NOW + MINUTE + 1)
    assert late.resume("n") == "resumed"
    assert late.get("n").next_at == NOW + 2 * MINUTE  # type: ignore[union-attr]


@pytest.mark.parametrize("missed", ["skip", "latest", "all"])
@pytest.mark.parametrize("span", [3_600_000, 86_400_000])
def test_a_clock_that_is_set_floods_nothing_and_repeats_nothing(
    client: Client, missed: str, span: int
) -> None:
    """Forward by an hour or a day: a bounded number of jobs. Back: silence until it is caught up."""
    store(client).put(minutely(missed=missed))
    store(client, NOW + MINUTE).fire_due()
    store(client, NOW + span).fire_due()
    fired = waiting(client)
    late = {"skip": 0, "latest": 0, "all": min(100, span // MINUTE - 3)}[missed]
    assert len(fired) == 1 + 2 + late
    for back in range(0, span, span // 7):
        assert store(client, NOW + back).fire_due().fired == []
        assert store(client, NOW + back).put(minutely(missed=missed), origin=DECLARED) == "same"
    store(client, NOW + span + MINUTE).fire_due()
    assert sorted(waiting(client))[:-1] == sorted(fired)


def test_one_that_was_declared_since_it_was_seen_is_not_taken_away(client: Client) -> None:
    """Nor one that a program has put in the meantime."""
    store(client).put(minutely(), origin=DECLARED)
    seen = store(client).mentions()["n"].declared_at
    later = store(client, NOW + 5)
    later.put(minutely(), origin=DECLARED, age_ms=5)
    assert later.remove("n", seen=seen) == "declared"
    later.put(minutely())
    assert later.remove("n", seen=later.mentions()["n"].declared_at) == "declared"
    assert later.get("n") is not None
    later.remove("n")
    later.put(minutely(), origin=DECLARED)
    seen = later.mentions()["n"].declared_at
    assert (later.remove("n", seen=seen), later.remove("n", seen=seen)) == ("removed", "gone")
    assert client.keys("t:{q}:schedule*") == []


def slot(n: int) -> str:
    return f"n:2027-01-15T08:{n:02}:00Z"


def test_a_slot_whose_lock_is_held_passes_without_a_job(client: Client) -> None:
    """The overlap policy: while one of its jobs lives, no other comes; its holder is named."""
    store(client).put(minutely(missed="all", options={"unique": True}))
    store(client, NOW + 3 * MINUTE).fire_due()
    assert waiting(client) == [slot(1)]
    info = store(client).get("n")
    assert info is not None
    assert (info.last_slot, info.last_job, info.fired) == (NOW + 3 * MINUTE, slot(1), 1)
    assert store(client).add_now("n", "by-hand") == (ANY, f"held {slot(1)}".encode())

    claim(client, NOW + 3 * MINUTE)
    store(client, NOW + 4 * MINUTE).fire_due()
    assert waiting(client) == []
    worker = Store(client, "t", "q", now=NOW + 4 * MINUTE)
    worker.release("w.1", [Blame(slot(1), "crashes")])
    worker.cancel([slot(1)])
    store(client, NOW + 5 * MINUTE).fire_due()
    assert waiting(client) == [slot(5)]
    assert client.keys("t:{q}:unique:*") != []


def test_the_job_of_the_latest_slot_takes_the_place_of_one_that_waits(client: Client) -> None:
    """With `replace`: the older one ends as cancelled, its place in line stays."""
    store(client).put(minutely(options={"unique": {"replace": True}}))
    store(client, NOW + MINUTE).fire_due()
    Store(client, "t", "q", now=NOW + MINUTE).add([NewJob("other", "t", b"{}")])
    store(client, NOW + 2 * MINUTE).fire_due()

    assert waiting(client) == [slot(2), "other"]
    old = Views(client, "t").info("q", slot(1))
    assert old is not None
    assert (old.state, [(line["kind"], line["by"]) for line in old.history]) == (
        "cancelled",
        [("replaced", slot(2))],
    )


def test_a_schedules_job_shares_its_lock_with_those_that_are_added(client: Client) -> None:
    """By task and arguments; and a schedule that asks for it no more forgets it."""
    schedule = minutely(args=b'{"n": 1}', options={"unique": True, "group": "eu", "meta": {"a": 1}})
    store(client).put(schedule)
    held = JobOnTerms.of(
        NewJob("mine", "t", b'{"n":1}'), Terms(lock=spell_lock(Unique(), "t", b'{"n":1}'))
    )
    assert Store(client, "t", "q", now=NOW).add_once([held]) == [b"added"]
    store(client, NOW + MINUTE).fire_due()
    assert waiting(client) == ["mine"]
    store(client, NOW + MINUTE).put(minutely(args=b'{"n": 1}', options={"group": "eu"}))
    store(client, NOW + 2 * MINUTE).fire_due()
    job = Views(client, "t").info("q", slot(2))
    assert job is not None
    assert (job.group, job.unique) == ("eu", None)
