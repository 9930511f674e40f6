"""Hosts that define a rule of one name differently: what was loaded last counts, whoever looks, and it is said."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from msgspec.structs import replace
from support.evaluators import KEYS, Host, overfull, rules

from jobd.alerter.charge import Charge, Identity
from jobd.broker.alert_loads import LoadStore
from jobd.broker.alerts import AlertStore, firing
from jobd.broker.connection import Client, connect
from jobd.broker.store import register_queues
from jobd.core.config_alerts import RuleConfig
from jobd.core.events import Event

FOR_MS = 30_000
BEGAN = 1_700_000_000_000


@pytest.fixture
def client(redis_url: str) -> Iterator[Client]:
    made = connect(redis_url)
    yield made
    made.config_set("maxmemory", "0")
    made.close()


def backlog(above: float, **more: object) -> RuleConfig:
    """The rule of that name; `overfull` makes it 4."""
    return replace(rules("backlog")[0], above=above, **more)  # type: ignore[arg-type]


def looks(*hosts: Host, times: int = 3) -> None:
    for host in hosts * times:
        host.look()


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 0, 1), (1, 1, 0, 0)])
def test_what_was_loaded_last_counts_whoever_looks(
    client: Client, redis_url: str, order: tuple[int, ...]
) -> None:
    """The host with the higher threshold comes first or last, and often: it is told once, and not taken back."""
    hosts = [Host(client, of=[backlog(50)], age=60), Host(client, of=[backlog(3)])]
    looks(*hosts)
    overfull(client, redis_url)
    looks(*(hosts[at] for at in order))
    assert [each.status for each in hosts[0].told()] == ["firing"]
    looks(*(hosts[at] for at in order))
    assert hosts[0].told() == []


def test_a_rule_that_is_changed_to_and_fro_follows_each_time(
    client: Client, redis_url: str
) -> None:
    """A reload of one host, while another goes on with what it has: never is one stuck with the other's."""
    other = Host(client, of=[backlog(50)], age=60)
    overfull(client, redis_url)
    for age, above, told in [(40, 3, "firing"), (30, 100, "resolved"), (20, 3, "firing")]:
        this = Host(client, of=[backlog(above)], owner="aa", age=age)
        looks(other, this, other, this, other)
        assert [each.status for each in this.told()] == [told]
    assert client.hlen(KEYS.alert_loads) == 2  # of one host the last one only


def test_hosts_that_define_it_alike_take_over_from_one_another_at_once(
    client: Client, redis_url: str
) -> None:
    """However long ago each has loaded it; nothing is said of it."""
    hosts = [Host(client, of=[backlog(3)], age=age) for age in (100, 50, 0)]
    overfull(client, redis_url)
    looks(*hosts)
    client.delete("jobd:{q}:waiting")
    looks(hosts[0])
    assert [each.status for each in hosts[0].told()] == ["firing", "resolved"]
    assert not [event for host in hosts for event in host.events if "differs" in event.event]


def test_that_hosts_differ_is_said_once_and_that_they_do_no_longer(client: Client) -> None:
    """By each of them."""
    first = Host(client, of=[backlog(50)], owner="aa", age=60)
    second = Host(client, of=[backlog(3, for_=5.0)], owner="bb")
    looks(first, second, times=4)
    third = Host(client, of=[backlog(3, for_=5.0)], owner="aa")
    looks(third, second, times=4)
    why = "hbb has above 3, for 5, which counts, loaded last; haa has above 50, no for"
    for host in (first, second):
        [event] = [each for each in host.events if each.event == "alert.differs"]
        assert event.why == why  # type: ignore[attr-defined]
    assert [each.event for each in second.events][-1] == "alert.agrees"
    assert third.events == []


def test_a_flush_does_not_let_the_older_one_in(client: Client, redis_url: str) -> None:
    """Whoever notices it first: the host with the newer one lives on."""
    old, new = Host(client, of=[backlog(1)], age=60), Host(client, of=[backlog(50)])
    overfull(client, redis_url)
    looks(old, new)
    client.flushall()
    overfull(client, redis_url)
    looks(old, old, new, old)
    assert old.told() == []
    assert firing(client, "jobd") == {"backlog": 0}


def test_who_may_not_judge_still_puts_right_what_a_store_has_lost(
    client: Client, redis_url: str
) -> None:
    """It alone has noticed that the store went back: those who were told that it fires hear of the end."""
    old, new = Host(client, of=[backlog(50)], age=60), Host(client, of=[backlog(3)])
    register_queues(client, "jobd", ["q"])
    looks(new, old)
    copy = {key: client.dump(key) for key in (KEYS.alert_states, KEYS.alert_beat)}
    overfull(client, redis_url)
    looks(new, old)
    assert [each.status for each in old.told()] == ["firing"]
    looks(old, new, old)
    client.delete("jobd:{q}:waiting")
    for key, document in copy.items():
        client.restore(key, 0, document, replace=True)  # type: ignore[arg-type]
    looks(old, new, times=2)
    assert [each.status for each in old.told()] == ["resolved"]


def test_a_version_that_knows_of_no_loads_is_kept_from_looking(client: Client) -> None:
    """It asks for its turn under another key, which is taken as long as somebody newer is there."""
    looks(Host(client, of=[backlog(3)]))
    key = KEYS.alert_old_turn_prefix + "backlog"
    assert not client.set(key, "1", nx=True)
    assert 0 < client.pttl(key) <= 60_000


def test_a_rule_that_only_one_host_has_is_its_own(client: Client, redis_url: str) -> None:
    looks(Host(client, "dead"), Host(client, of=[backlog(3)], age=1000))
    overfull(client, redis_url)
    host = Host(client, of=[backlog(3)], age=1000)
    looks(Host(client, "dead"), host)
    assert [each.status for each in host.told()] == ["firing"]


def test_a_full_store_keeps_the_older_one_out_all_the_same(client: Client, redis_url: str) -> None:
    old, new = Host(client, of=[backlog(50)], age=60), Host(client, of=[backlog(3)])
    overfull(client, redis_url)
    client.set("filler", b"x" * 2_000_000)
    client.config_set("maxmemory", "1")
    looks(old, new)
    assert [each.status for each in old.told()] == ["firing"]


def test_what_a_stranger_says_of_rules_is_no_reason_not_to_look(
    client: Client, redis_url: str
) -> None:
    """Of another type, no definition, of a time to come: it goes, and what is left is shown at most."""
    host = Host(client, of=[backlog(3)])
    overfull(client, redis_url)
    client.set(KEYS.alert_loads, "x")
    looks(host)
    ages = (
        "99999999999999 1 60000",
        "1 99999999999999 60000",
        "1 1 99999999999999",
        "x y z",
        "-1 -1 1",
        "9" * 40 + " 1 1",
        "",
    )
    rows = {f"backlog\n{n:x}": f"{age} ab host\n{{}}" for n, age in enumerate(ages)}
    strange = {
        b"\xff": b"\xff",
        "backlog": "1 1 ab h\n{}",
        "backlog\nxyz": "",
        "\n": "\n",
        "backlog\nab": "",
    }
    client.hset(KEYS.alert_loads, mapping=rows | strange)  # type: ignore[arg-type]
    client.delete("jobd:{q}:waiting")
    looks(host)
    assert [each.status for each in host.told()] == ["firing", "resolved"]
    assert client.hlen(KEYS.alert_loads) == 1
    at = AlertStore(client, "jobd").take_turn([], 1).at_ms
    client.hset(KEYS.alert_loads, "backlog\nab", f"1 {at} 60000 ab \x1b[1m\n[" + "[" * 9999)
    looks(host)
    assert LoadStore(client, "jobd").read()["backlog"][0].host == host.shared._charge._me.host


def test_a_clock_of_redis_that_is_set_leaves_no_old_load_the_newest(client: Client) -> None:
    """After a failover to a server whose clock is behind, or before: what is loaded from then on is newer."""
    for step in (-3_600_000, 3_600_000):
        client.flushall()
        now, shift = [BEGAN], [0]

        def look(each: Charge, now: list[int] = now, shift: list[int] = shift) -> bool:
            now[0] += 2000
            each._store._now = str(now[0] + shift[0])
            return bool(each.ours())

        def host(name: str, above: float, now: list[int] = now) -> Charge:
            return Charge(
                [backlog(above)], LoadStore(client, "jobd"), Identity(name, name, 0.0), for_ms=FOR_MS,
                emit=lambda _: None, clock=lambda: now[0] / 1000,
            )  # fmt: skip

        gone, old = host("aa", 9), host("bb", 1)
        now[0] += 10_000
        new = host("cc", 2)
        assert [look(each) for each in (gone, old, new, old)] == [True, True, True, False]
        shift[0] = step
        assert [look(each) for each in (old, new, old)] == [False, True, False]
        now[0] += 10_000
        again = host("bb", 3)
        assert [look(each) for each in (new, again, new, again)] == [True, True, False, True]


class World:
    """Hosts in virtual time that load, look and die; `loaded` is what the store can know of each."""

    def __init__(self, client: Client, seed: int) -> None:
        self.client = client
        self.dice = Random(seed)
        self.now = BEGAN
        self.rules = [backlog(above) for above in (1, 2, 3)]
        self.charges: dict[int, tuple[int, int, Charge]] = {}
        self.said: dict[int, tuple[int, int, int]] = {}  # host: loaded, which, when it looked
        self.events: list[Event] = []
        for host in range(4):
            self.load(host)

    def load(self, host: int) -> None:
        """A host reads its file, or a killed alerter begins again with what is in force."""
        self.now += 5000
        again = self.charges.get(host)
        if again and self.dice.random() < 0.3:
            at, which, _ = again
        else:
            at, which = self.now, self.dice.randrange(len(self.rules))
        store = LoadStore(self.client, "jobd")
        me = Identity(owner=f"{host:x}", host=f"h{host}", age=(self.now - at) / 1000)
        charge = Charge(
            [self.rules[which]], store, me, for_ms=FOR_MS, emit=self.events.append,
            clock=lambda: self.now / 1000,
        )  # fmt: skip
        self.charges[host] = at, which, charge

    def look(self, host: int, *, is_flushed: bool = False) -> None:
        """After a flush, before all have spoken again, nobody may judge rather than somebody else."""
        self.now += self.dice.randrange(1, 2000)
        at, which, charge = self.charges[host]
        charge._store._now = str(self.now)
        may = bool(charge.ours())
        self.said[host] = at, which, self.now
        living = [(at, which) for at, which, seen in self.said.values() if seen + FOR_MS > self.now]
        is_newest = max(living)[1] == which
        assert may <= is_newest if is_flushed else may == is_newest


@pytest.mark.parametrize("seed", range(12))
def test_of_living_hosts_those_with_the_newest_load_judge_and_no_other(
    client: Client, seed: int
) -> None:
    """In random worlds: reloads, alerters that begin again, hosts that die and come back, flushes."""
    world = World(client, seed)
    living = [0, 1, 2, 3]
    for _ in range(150):
        what = world.dice.random()
        if what < 0.06:
            world.load(world.dice.choice(living))
        elif what < 0.1:
            living = world.dice.sample(range(4), world.dice.randrange(1, 5))
        elif what < 0.13:
            for host in [0, 1, 2, 3] * 2:  # all know what is the newest
                world.look(host)
            client.flushall()
            for host in world.dice.sample(range(4), 4):
                world.look(host, is_flushed=True)
        world.look(world.dice.choice(living))
    assert client.hlen(KEYS.alert_loads) <= 3
