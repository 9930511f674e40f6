"""Which topic is looked at next: in virtual time, for any crowd of topics and people."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from jobd.web.pages.plan import SHARE, Plan
from jobd.web.pages.watch import Topic

COSTS = st.lists(st.floats(0.0001, 0.5), min_size=1, max_size=12)


def topic(name: int) -> Topic:
    return Topic(str(name), (), (), "viewer", "")


def lived(
    plan: Plan, watched: dict[Topic, set[str]], costs: dict[Topic, float], steps: int
) -> Counter[Topic]:
    """Look so many times, as the hub does; nothing takes longer than a twentieth of the time."""
    now, spent, looks = 0.0, 0.0, Counter[Topic]()
    for _ in range(steps):
        one, at = plan.next(watched, now)
        now = max(now, at)
        assert spent * SHARE <= now + 1e-6
        plan.begins(watched[one])
        began, now, spent = now, now + costs[one], spent + costs[one]
        plan.ended(one, watched, began=began, now=now, spent=costs[one], is_away=False)
        looks[one] += 1
    return looks


@given(COSTS)
def test_looks_cost_no_more_than_their_share_and_all_have_their_turn(costs: list[float]) -> None:
    topics = [topic(n) for n in range(len(costs))]
    watched = {each: {f"somebody at {each.page}"} for each in topics}
    looks = lived(Plan(1.0), watched, dict(zip(topics, costs, strict=True)), 12 * len(costs))
    assert looks.keys() == set(topics)


def test_who_has_many_pages_open_takes_no_turn_from_who_has_one() -> None:
    topics = [topic(n) for n in range(10)]
    watched = {each: {"greedy"} for each in topics[1:]} | {topics[0]: {"modest"}}
    looks = lived(Plan(1.0), watched, dict.fromkeys(topics, 0.1), 200)
    assert looks[topics[0]] > 50


def test_that_redis_went_or_came_back_holds_for_all() -> None:
    plan, watched = Plan(1.0), {topic(n): {"somebody"} for n in range(3)}
    plan.ended(topic(0), watched, began=10.0, now=12.0, spent=0.0, is_away=True)
    assert plan.is_away
    assert plan.next(watched, 12.0)[1] == 13.0
    plan.ended(topic(0), watched, began=13.0, now=13.0, spent=0.0, is_away=False)
    assert not plan.is_away
    again, at = plan.next(watched, 13.0)
    assert (again != topic(0), at) == (True, 13.0)


def test_what_is_new_goes_first_and_what_nobody_watches_is_forgotten() -> None:
    plan, watched = Plan(1.0), {topic(0): {"a"}}
    plan.ended(topic(0), watched, began=0.0, now=0.0, spent=0.0, is_away=False)
    assert plan.next(watched, 0.0) == (topic(0), 1.0)
    assert plan.next(watched | {topic(1): {"b"}}, 0.5)[0] == topic(1)
    plan.forget(topic(0))
    assert plan.next(watched, 0.5) == (topic(0), 0.0)
