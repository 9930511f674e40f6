"""What a host is asked for: carried out once at most, never late, bounded, and no stranger's word hinders."""

from __future__ import annotations

import pytest

from jobd.broker.connection import Client
from jobd.broker.host_orders import KEPT_MS, LARGEST_ANSWER, MOST_ORDERS, VALID_MS, HostOrders
from jobd.broker.keys import SharedKeys
from jobd.core.errors import BrokerError, TooManyOrders
from jobd.seams.requests import Answer, Dump, Recycle, Refusal

KEYS = SharedKeys("t")
ORDERS = KEYS.host_orders_prefix + "web1"
NOW = 1_800_000_000_000


def test_an_order_is_taken_once_by_its_host_alone(client: Client) -> None:
    orders = HostOrders(client, "t")
    order = orders.ask("web1", Recycle("q.1"), by="ann")

    assert orders.take("web2") == []
    [taken] = orders.take("web1")
    assert (taken.id, taken.request, taken.by) == (order, Recycle("q.1"), "ann")
    assert 0 < taken.left_ms <= VALID_MS
    assert orders.take("web1") == []
    assert not orders.withdraw("web1", order)


def test_a_late_order_is_nobodys(client: Client) -> None:
    """By Redis' clock, whatever else is still kept."""
    HostOrders(client, "t", now=NOW).ask("web1", Dump())
    late = HostOrders(client, "t", now=NOW + VALID_MS)
    assert late.take("web1") == []
    assert client.exists(ORDERS) == 0

    HostOrders(client, "t", now=NOW).ask("web1", Dump())
    [taken] = HostOrders(client, "t", now=NOW + VALID_MS - 1).take("web1")
    assert taken.left_ms == 1


def test_what_is_withdrawn_is_not_taken(client: Client) -> None:
    orders = HostOrders(client, "t")
    order = orders.ask("web1", Dump())
    assert orders.withdraw("web1", order)
    assert orders.take("web1") == []


def test_orders_are_bounded_and_go_by_themselves(client: Client) -> None:
    orders = HostOrders(client, "t")
    for _ in range(MOST_ORDERS):
        orders.ask("web1", Dump("q.1"))
    with pytest.raises(TooManyOrders, match="web1"):
        orders.ask("web1", Dump("q.1"))
    assert 0 < client.pttl(ORDERS) <= KEPT_MS
    assert len(orders.take("web1")) == MOST_ORDERS


def test_an_answer_comes_back_once_and_goes_by_itself(client: Client) -> None:
    orders = HostOrders(client, "t")
    answer = Answer(error=Refusal("refused", "slot: 'q.9'"))
    orders.answer("a", Answer(ok={"processes": 1}))
    orders.answer("a", answer)
    assert 0 < client.pttl(KEYS.host_answer_prefix + "a") <= KEPT_MS

    assert orders.answer_to("a", within=30) == answer
    assert orders.answer_to("a", within=0.02) is None
    orders.answer("b", Answer(ok={"stacks": "x" * LARGEST_ANSWER}))
    found = orders.answer_to("b", within=30)
    assert found is not None
    assert found.error is not None
    assert found.error.code == "too_large"


def test_orders_pass_a_full_store(client: Client) -> None:
    """That is when people look."""
    orders = HostOrders(client, "t")
    client.config_set("maxmemory", "1")
    order = orders.ask("web1", Dump())
    assert len(orders.take("web1")) == 1
    orders.answer(order, Answer(ok={}))
    assert orders.answer_to(order, within=30) == Answer(ok={})


def test_what_a_stranger_put_there_is_no_order(client: Client) -> None:
    orders = HostOrders(client, "t")
    client.set(ORDERS, "x")
    with pytest.raises(BrokerError, match="expected a hash"):
        orders.ask("web1", Dump())
    assert orders.take("web1") == []
    client.hset(ORDERS, mapping={f"{n}": f"{10**15} {{}}" for n in range(MOST_ORDERS + 1)})
    assert orders.take("web1") == []
    assert client.exists(ORDERS) == 0

    later = 9 * 10**14
    client.hset(
        ORDERS,
        mapping={"a": "", "b": b"\xff", "c": f"{later} {{", "d": f'{later} {{"message": {{"x": 1}}}}', "e": "1" * 30,
                 "f": f"{later} " + '{"message":' * 5000},
    )  # fmt: skip
    assert {taken.id: type(taken.request) for taken in orders.take("web1")} == {
        "c": Refusal, "d": Refusal, "f": Refusal,
    }  # fmt: skip
    for nonsense in (b"\xff{", b'{"ok":' * 5000):
        client.rpush(KEYS.host_answer_prefix + "a", nonsense)
        found = orders.answer_to("a", within=30)
        assert found is not None
        assert found.error is not None
