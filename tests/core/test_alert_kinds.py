"""Each kind of rule against facts: what it sees, and what it does not take for trouble."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from jobd.core.alerts import kinds
from jobd.core.alerts.facts import Facts, QueueFacts, StoreFacts
from jobd.core.alerts.judge import judge, notification
from jobd.core.alerts.kinds import KINDS
from jobd.core.alerts.looks_at_store import store_reset
from jobd.core.alerts.machine import RuleState, Spans
from jobd.core.config import load
from jobd.core.config_alerts import RuleConfig
from jobd.core.portrait import Daemon, Host, QueueView, Reload, Worker

NOW = 1_700_000_000_000
MINUTE = NOW // 60_000


def rule(kind: str, **more: object) -> RuleConfig:
    lines = "\n".join(f"{key} = {value!r}" for key, value in more.items())
    text = f"[[alerts.rules]]\nkind = '{kind}'\n{lines}"
    [read] = load(text, "f").alerts.rules
    return read


def host(name: str = "a", *, silent_for: float = 1.0, **daemon: Any) -> Host:
    usual: dict[str, Any] = {
        "running": True, "stopping": False, "pid": 1, "started_at": 0.0, "up_for": 1.0, "generation": 1,
        "last_error": None, "helpers": {}, "workers": [], "host": name,
    }  # fmt: skip
    return Host(key=name, silent_for=silent_for, daemon=Daemon(**(usual | daemon)))


def worker(**more: Any) -> Worker:
    usual: dict[str, Any] = {
        "slot": "q.1", "queue": "q", "phase": "busy", "pid": 1, "incarnation": "i", "restarts": 0,
        "last_exit": None,
    }  # fmt: skip
    return Worker(**(usual | more))


def at_once(rule: RuleConfig) -> RuleConfig:
    return replace(rule, for_=0.0)


def facts(*, at_ms: int = NOW, hosts: list[Host] | None = None, **queue: Any) -> Facts:
    return Facts(
        at_ms=at_ms,
        queues={"q": QueueFacts(**queue)},
        hosts=hosts or [],
        store=StoreFacts(),
        unreachable="",
    )


def firing(rule: RuleConfig, *worlds: Facts) -> list[str]:
    """Play worlds one after another; give what fires at the end."""
    state = RuleState()
    for world in worlds:
        state, _ = judge(at_once(rule), state, world, sinks=[], muted=False, spans=Spans())
    return sorted(name for name, each in state.instances.items() if each.phase == "firing")


def test_backlog_counts_what_is_due_of_each_queue_or_of_one() -> None:
    """More than `above`, not as many."""
    both = Facts(at_ms=NOW, queues={"a": QueueFacts(due=11), "b": QueueFacts(due=10)})

    assert firing(rule("backlog", above=10), both) == ["a"]
    assert firing(rule("backlog", above=5, queue="b"), both) == ["b"]
    assert firing(rule("backlog", above=5, queue="c"), both) == []


def test_latency_is_the_wait_of_the_oldest() -> None:
    """In seconds."""
    assert firing(rule("latency", above="1m"), facts(due=1, oldest=61.0)) == ["q"]
    assert firing(rule("latency", above="1m"), facts(due=9, oldest=59.0)) == []


def test_failure_rate_is_a_share_of_the_window_and_needs_enough_runs() -> None:
    """Dead, failed and timed out ones count; what is older, cancelled or put off does not."""
    mixed = {"completed": 15, "failed": 2, "timeout": 1, "dead": 2, "cancelled": 50, "snoozed": 50}

    assert firing(rule("failure_rate", above=0.2), facts(minutes={MINUTE: mixed})) == ["q"]
    assert firing(rule("failure_rate", above=0.25), facts(minutes={MINUTE: mixed})) == []
    assert firing(rule("failure_rate", min_runs=21), facts(minutes={MINUTE: mixed})) == []
    assert firing(rule("failure_rate", above=0.2), facts(minutes={MINUTE - 6: mixed})) == []
    spread = {MINUTE - 4: {"completed": 12}, MINUTE: {"failed": 8}}
    assert firing(rule("failure_rate"), facts(minutes=spread)) == ["q"]


def test_dead_counts_those_of_its_own_window() -> None:
    """One is enough, unless more are allowed."""
    died = facts(died={900.0: 1, 60.0: 0})

    assert firing(rule("dead"), died) == ["q"]
    assert firing(rule("dead", window="1m"), died) == []
    assert firing(rule("dead", above=1), died) == []


def test_stalled_is_work_that_nothing_holds_back_and_nobody_takes() -> None:
    """Neither a pause nor a limit, nor a queue that just got its first job after a quiet night."""
    idle: dict[str, Any] = {"due": 3, "oldest": 700.0, "claimed_ago": 650.0}

    assert firing(rule("stalled"), facts(**idle)) == ["q"]
    assert firing(rule("stalled"), facts(**(idle | {"claimed_ago": None}))) == ["q"]
    assert firing(rule("stalled"), facts(**(idle | {"paused": True}))) == []
    assert firing(rule("stalled"), facts(**(idle | {"limited": True}))) == []
    assert firing(rule("stalled"), facts(**(idle | {"claimed_ago": 5.0}))) == []
    assert firing(rule("stalled"), facts(due=1, oldest=0.1, claimed_ago=30_000.0)) == []


def test_no_workers_asks_who_should_be_there() -> None:
    """A queue with work, one a host wants workers for, or the one that is named; not an old name."""
    wants = [host(queues={"q": QueueView(wanted=2)})]
    wants_none = [host(queues={"q": QueueView(wanted=0, least=0)})]

    assert firing(rule("no_workers"), facts(hosts=wants)) == ["q"]
    assert firing(rule("no_workers"), facts(due=1)) == ["q"]
    assert firing(rule("no_workers"), facts()) == []
    assert firing(rule("no_workers", queue="q"), facts()) == ["q"]
    assert firing(rule("no_workers", queue="q"), facts(hosts=wants_none)) == []
    assert firing(rule("no_workers"), facts(hosts=wants_none, due=1)) == ["q"]
    assert firing(rule("no_workers"), facts(hosts=wants, due=1, workers=1)) == []


def test_crash_loop_counts_crashes_over_hosts_and_knows_who_gave_up() -> None:
    """What had crashed before anybody looked is no news; a host's restart loses no count."""

    def crashed(a: int, b: int, *, later: int = 0, **view: Any) -> Facts:
        views = [
            host(name, queues={"q": QueueView(wanted=1, exits={"crash": n, "stopped": 99}, **view)})
            for name, n in (("a", a), ("b", b))
        ]
        return facts(at_ms=NOW + later, hosts=views)

    assert firing(rule("crash_loop"), crashed(100, 100)) == []
    assert firing(rule("crash_loop"), crashed(0, 0), crashed(3, 2, later=2000)) == []
    assert firing(rule("crash_loop"), crashed(0, 0), crashed(3, 3, later=2000)) == ["q"]
    spread = [crashed(n, 0, later=n * 100_000) for n in range(20)]
    assert firing(rule("crash_loop"), *spread) == []
    assert firing(rule("crash_loop"), crashed(0, 0, gave_up=True)) == ["q"]


def test_schedule_missed_sees_the_late_and_the_skipped() -> None:
    """By schedule."""
    assert firing(rule("schedule_missed"), facts(overdue={"daily": 61.0})) == ["q/daily"]
    assert firing(rule("schedule_missed"), facts(overdue={"daily": 59.0})) == []
    before, after = facts(skipped={"daily": 5}), facts(skipped={"daily": 7})
    assert firing(rule("schedule_missed"), before) == []
    assert firing(rule("schedule_missed"), before, after) == ["q/daily"]


def test_stuck_is_the_longest_run_of_a_queue_or_task() -> None:
    """The time since the host said so counts too; a host that is long silent says nothing."""
    runs = worker(running=1, job="j", task="slow", running_for=59.0)
    known = [host(workers=[runs], silent_for=2.0, queues={"q": QueueView(wanted=1)})]

    assert firing(rule("stuck", above="1m"), facts(hosts=known)) == ["q"]
    assert firing(rule("stuck", above="1m", task="slow"), facts(hosts=known)) == ["q"]
    assert firing(rule("stuck", above="1m", task="other"), facts(hosts=known)) == []
    assert firing(rule("stuck", above="2m"), facts(hosts=known)) == []
    silent = [host(workers=[runs], silent_for=70.0)]
    assert firing(rule("stuck", above="1m"), facts(hosts=silent)) == []


def test_memory_is_the_largest_worker() -> None:
    """Its own memory, in bytes."""
    known = [host(workers=[worker(memory=5_000_000), worker(memory=50_000_000)])]

    assert firing(rule("memory", above="49MB"), facts(hosts=known)) == ["q"]
    assert firing(rule("memory", above="50MB"), facts(hosts=known)) == []


def test_interrupted_counts_what_was_interrupted_for_the_fifth_time() -> None:
    """Since somebody looks."""
    before, after = facts(interrupted=1), facts(interrupted=2, interrupted_last="trial-7")

    assert firing(rule("interrupted"), before) == []
    assert firing(rule("interrupted"), before, after) == ["q"]


@pytest.mark.parametrize(
    ("above", "store", "fires"),
    [
        ("80%", StoreFacts(used_memory=81, max_memory=100, host_memory=10**9), True),
        ("80%", StoreFacts(used_memory=80, max_memory=100), False),
        ("80%", StoreFacts(used_memory=81, host_memory=100), True),
        ("80%", StoreFacts(used_memory=81), False),
        ("2GB", StoreFacts(used_memory=2_000_000_001), True),
        ("2GB", StoreFacts(used_memory=2_000_000_000, max_memory=1), False),
    ],
)
def test_redis_memory_is_of_what_it_may_have(above: str, store: StoreFacts, fires: bool) -> None:
    """A share of maxmemory, else of the host's memory, else unknown; or a size."""
    world = Facts(at_ms=NOW, store=store)

    assert firing(rule("redis_memory", above=above), world) == ([""] if fires else [])


def test_missing_workers_are_those_that_a_host_wants_and_has_not() -> None:
    """The worst host counts; who boots or leaves is not at work, and who drains wants none."""

    def at(name: str, *phases: str, **more: Any) -> Host:
        workers = [worker(slot=f"q.{n}", phase=phase) for n, phase in enumerate(phases, 1)]
        more = {"workers_in_all": len(workers)} | more
        return host(name, workers=workers, queues={"q": QueueView(wanted=2)}, **more)

    assert firing(rule("missing_workers"), facts(hosts=[at("a", "idle", "busy")])) == []
    assert firing(
        rule("missing_workers"), facts(hosts=[at("a", "idle", "busy"), at("b", "idle", "booting")])
    ) == ["q"]
    assert firing(rule("missing_workers", above=1), facts(hosts=[at("b", "idle", "vacant")])) == []
    assert firing(rule("missing_workers"), facts(hosts=[at("a", stopping=True)])) == []
    assert firing(rule("missing_workers"), facts(hosts=[at("a", "idle", workers_in_all=300)])) == []


def test_the_store_and_hosts() -> None:
    """What is wrong with the server, that it is another one, and what a host says of itself."""
    assert firing(rule("store_unfit"), Facts(at_ms=NOW, store=StoreFacts(unfit=("bad",)))) == [""]
    assert firing(rule("store_unfit"), Facts(at_ms=NOW, store=StoreFacts())) == []
    [of] = firing(rule("store_reset"), Facts(at_ms=NOW, store=StoreFacts(reset_ago=5.0)))
    [later] = firing(rule("store_reset"), Facts(at_ms=NOW + 3000, store=StoreFacts(reset_ago=8.0)))
    [next_one] = firing(rule("store_reset"), Facts(at_ms=NOW, store=StoreFacts(reset_ago=4.0)))
    assert of == later != next_one
    assert firing(rule("store_reset"), Facts(at_ms=NOW, store=StoreFacts(reset_ago=901.0))) == []
    refused = host(reload=Reload(ago=1.0, error="jobd.toml: bad\nmore"))
    assert firing(rule("reload_refused"), facts(hosts=[refused, host("b")])) == ["a"]
    assert firing(rule("host_lost"), facts(hosts=[host(silent_for=31.0), host("b")])) == ["a"]
    down = rule("redis_down")
    assert firing(down, Facts(at_ms=NOW, unreachable="no answer")) == [""]
    assert firing(down, Facts(at_ms=NOW, unreachable="")) == []


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_without_the_facts_nothing_moves(kind: str) -> None:
    """Redis is away: what fires goes on firing, and nothing new does."""
    above: dict[str, dict[str, object]] = {
        "backlog": {"above": 1}, "latency": {"above": 1}, "stuck": {"above": 1},
        "memory": {"above": "1MB"},
    }  # fmt: skip
    state = RuleState(told_ms=5)

    after, told = judge(
        rule(kind, **above.get(kind, {})),
        state,
        Facts(at_ms=NOW),
        sinks=[],
        muted=False,
        spans=Spans(),
    )

    assert (after, told) == (state, None)


def test_a_rule_that_is_changed_begins_anew() -> None:
    """Its `for`, its being clear, and what it counts, if that is something else; what fires goes on firing."""

    def at(seconds: int, due: int = 5) -> Facts:
        return facts(
            at_ms=NOW + seconds * 1000, due=due, interrupted=due * 100, interrupted_last="j"
        )

    def play(*steps: tuple[RuleConfig, Facts]) -> RuleState:
        state = RuleState()
        for config, world in steps:
            state, _ = judge(config, state, world, sinks=[], muted=False, spans=Spans())
        return state

    slow, other = (rule("backlog", above=above, **{"for": "30s"}) for above in (3, 4))
    waited = [(slow, at(0)), (slow, at(20))]
    assert play(*waited, (slow, at(40))).instances["q"].phase == "firing"
    assert play(*waited, (other, at(40))).instances["q"].since_ms == NOW + 40_000
    fires = [*waited, (slow, at(40))]
    assert play(*fires, (other, at(42))).instances["q"].phase == "firing"
    clear = [*fires, (slow, at(42, due=0))]
    assert play(*clear, (slow, at(52, due=0))).instances["q"].phase == "resolved"
    assert play(*clear, (other, at(52, due=0))).instances["q"].clear_ms == NOW + 52_000
    # Of one name, a rule that counts something else.
    counted = rule("interrupted", name="backlog")
    crashes = rule("crash_loop", name="backlog")
    more = [(counted, at(0, due=0)), (counted, at(2))]
    for steps, is_counted in ((more, True), ([*more, (crashes, at(4))], False)):
        trail = play(*steps).trail
        assert trail is not None
        assert bool(trail.grown) == is_counted


def test_a_notification_says_it_in_one_line() -> None:
    """What, how much, over what; of many the first few."""
    many = Facts(at_ms=NOW, queues={f"q{n}": QueueFacts(due=1200) for n in range(5)})
    backlog = rule("backlog", above=1000, name="all backlogs")
    state, told = judge(backlog, RuleState(), many, sinks=[], muted=False, spans=Spans())
    assert told is not None

    note = notification(backlog, told, note_id="n", at_ms=NOW, namespace="jobd")

    assert note.summary == (
        "all backlogs: q0: 1,200 jobs due; q1: 1,200 jobs due; q2: 1,200 jobs due; and 2 more "
        "(threshold 1,000)"
    )
    assert len(note.instances) == 5
    assert note.hint.endswith(".")
    assert state.told_ms == NOW


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_documented(kind: str) -> None:
    """In the list at the top of its file, with its defaults; and its hint is one sentence to act on."""
    assert f"\n    {kind} " in str(kinds.__doc__)
    assert KINDS[kind].hint.endswith(".")


@pytest.mark.parametrize(
    ("ago", "said"), [(0.0, "just now"), (0.4, "just now"), (90.0, "1m30s ago")]
)
def test_a_reset_says_when(ago: float, said: str) -> None:
    """In the moment in which it is noticed as well."""
    facts = Facts(at_ms=NOW, store=StoreFacts(reset_ago=ago))
    [reading] = store_reset(rule("store_reset"), facts, {})
    assert reading.shown == f"flushed, replaced or set back {said}"
