"""No call does more than a bite: what is sent together is cut, in order, and nothing is left out."""

from __future__ import annotations

from collections.abc import Callable

from jobd.broker.bites import BLAME_BITE, MAX_BATCH_BYTES
from jobd.broker.commands import Blame, Claim
from jobd.broker.connection import Client
from jobd.broker.new_job import NewJob
from jobd.broker.store import Store
from jobd.broker.views import Views


def asked(client: Client, ask: Callable[[], object]) -> list[str]:
    """List what Redis carried out meanwhile, inside scripts as well."""
    with client.monitor() as watch:
        ask()
        client.echo("that was all")
        said: list[str] = []
        while not said or "that was all" not in said[-1]:
            said.append(str(watch.next_command()["command"]))
    return said


def test_a_claim_reads_no_value_of_a_note(client: Client) -> None:
    """They may be a thousand steps and a log; the worker asks for the one that it needs."""
    store = Store(client, "t", "q")
    store.add([NewJob("a", "noop", b'{"n":1}')])
    client.hset(
        "t:{q}:job:a",
        mapping={
            "~once:s": "v" * 9000,
            "~log": "l" * 9000,
            "history": "[]",
            "failed": 1,
            "more": 1,
        },
    )
    store.join("w.1", 60_000)
    claims: list[Claim] = []
    said = asked(client, lambda: claims.append(store.claim("w.1", 60_000)))

    [job] = claims[0].jobs
    assert (job.args, job.more[b"~once:s"], job.more[b"~log"]) == (b'{"n":1}', b"", b"")
    assert (job.more[b"history"], job.more[b"failed"], b"args" in job.more) == (b"[]", b"1", False)
    assert not [line for line in said if line.startswith(("HGETALL", "HVALS")) and ":job:" in line]
    assert not [line for line in said if line.startswith("HMGET") and "~" in line]


def test_all_that_a_claim_replies_counts_against_its_bound(client: Client) -> None:
    """Histories are longer than arguments; whatever does not go in the first call goes in the next."""
    store, ids = Store(client, "t", "q"), [f"j{i}" for i in range(40)]
    store.add([NewJob(i, "noop", b"{}") for i in ids])
    for each in ids:
        client.hset(f"t:{{q}}:job:{each}", mapping={"history": "h" * 60_000, "more": 1})
    store.join("w.1", 60_000)
    sizes = []
    while (claim := store.claim("w.1", 60_000, budget_us=10**6, costs=["noop", 1])).jobs:
        sizes.append([sum(map(len, job.more.values())) for job in claim.jobs])

    assert max(map(sum, sizes)) <= MAX_BATCH_BYTES
    assert [len(size) for size in sizes] == [17, 17, 6]


def test_a_record_of_more_than_a_call_may_hold_is_claimed_alone(client: Client) -> None:
    """Also one with more fields than fit on Lua's stack: its worker finds out what it is."""
    store = Store(client, "t", "q")
    store.add([NewJob(i, "noop", b"{}") for i in ("a", "b")])
    client.hset("t:{q}:job:a", mapping={f"f{i}": "v" * 100 for i in range(20_000)} | {"more": "1"})
    store.join("w.1", 60_000)
    claims = [store.claim("w.1", 60_000, budget_us=10**6, costs=["noop", 1]) for _ in range(2)]

    assert [[job.id for job in claim.jobs] for claim in claims] == [[b"a"], [b"b"]]
    assert len(claims[0].jobs[0].more) == 20_000 + 4


def test_arguments_are_not_read_of_jobs_that_only_move_aside(client: Client) -> None:
    """A thousand of a paused task are passed over in a call, and each may be of 128 KiB."""
    store = Store(client, "t", "q")
    store.add([NewJob(f"j{i}", "off", b'{"n":1}') for i in range(30)] + [NewJob("k", "on", b"{}")])
    store.join("w.1", 60_000)
    store.pause("off")
    claims: list[Claim] = []
    said = asked(client, lambda: claims.append(store.claim("w.1", 60_000)))

    assert [job.id for job in claims[0].jobs] == [b"k"]
    assert len([line for line in said if "args" in line and line.startswith("HMGET")]) == 1
    assert (
        Views(client, "t").counts("q")["delayed"] + Views(client, "t").counts("q")["waiting"] == 30
    )


def test_what_a_dead_worker_ran_is_charged_a_few_jobs_a_call(client: Client) -> None:
    """Each charge writes a history anew, of 64 KiB at worst; what did not run goes back afterwards."""
    store, ids = Store(client, "t", "q"), [f"j{i}" for i in range(3 * BLAME_BITE)]
    store.add([NewJob(i, "noop", b"{}") for i in ids])
    store.join("w.1", 60_000)
    store.claim("w.1", 60_000, budget_us=10**6, costs=["noop", 1])
    accused = ids[: 2 * BLAME_BITE + 1]
    said = asked(
        client,
        lambda: store.release("w.1", [Blame(i, "crashes", b'{"kind":"crash"}') for i in accused]),
    )

    calls = "\n".join(said).split("EVALSHA")[1:]
    assert max(call.count("HINCRBY t:{q}:job:") for call in calls) == BLAME_BITE
    charged = [client.hget(f"t:{{q}}:job:{i}", "crashes") for i in ids]
    assert charged == [b"1"] * len(accused) + [None] * (len(ids) - len(accused))
    assert (Views(client, "t").counts("q")["waiting"], store.open_leases()) == (len(ids), {})
