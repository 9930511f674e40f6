"""A key of another type, in each script's way: the script fails and has changed nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.policies import NOTHING

from jobd.broker.commands import Blame, Completed, Ending, Jot
from jobd.broker.connection import Client
from jobd.broker.new_job import JobOnTerms, NewJob, Terms
from jobd.broker.store import Store
from jobd.core.errors import BrokerError
from jobd.core.limits import Limits

LEASE = 30_000
NOW = 1_800_000_000_000
KEYS = (
    "waiting", "delayed", "held", "meta", "completed", "dead", "expiring", "awaited",
    "tally", "outbox", "wake_list", "terms", "cancelled", "orders", "rate", "off",
)  # fmt: skip

CALLS: dict[str, Callable[[Store, int], object]] = {
    "add": lambda s, n: s.add([NewJob("new", "t", b"{}", due="+5")]),
    "add_once": lambda s, n: s.add_once(
        [
            JobOnTerms.of(NewJob("done", "t", b"{}"), Terms(nonce="again")),
            NewJob("new", "t", b"{}", due="+5"),
            JobOnTerms.of(NewJob("new2", "t", b"{}"), Terms(lock="finished aa")),
        ]
    ),
    "join": lambda s, n: s.join("w.2", LEASE),
    "claim": lambda s, n: s.claim("w.1", LEASE),
    "settle": lambda s, n: s.settle("w.1", LEASE, completed=[Completed(b"a", n, "t|0|0|0", b"1")]),
    "bury": lambda s, n: s.settle(
        "w.1", LEASE, endings=[Ending("dead", b"a", n, "t|0|0|0", 5, "failed", {"error": "x"})]
    ),
    "retry": lambda s, n: s.settle(
        "w.1", LEASE, endings=[Ending("retry", b"a", n, "t|0|0|0", 0, "failed", {"failed": 1})]
    ),
    "hand_back": lambda s, n: s.hand_back("w.1", [(b"a", n)]),
    "reconcile": lambda s, n: s.reconcile("w.1", [(b"a", n)]),
    "release": lambda s, n: s.release("w.1", [Blame("a", "crashes", b'{"kind":"crash"}')]),
    "reap": lambda s, n: s.reap("w.1", f"{NOW + LEASE}"),
    "cancel": lambda s, n: s.cancel(["b", "a", "later"]),
    "heed": lambda s, n: s.heed(),
    "reschedule": lambda s, n: s.reschedule(["b", "a"], "+5"),
    "reschedule_now": lambda s, n: s.reschedule(["later", "a"], ""),
    "retry_again": lambda s, n: s.retry(["off", "a"]),
    "delete": lambda s, n: s.delete(["off", "done", "a"]),
    "purge": lambda s, n: s.purge("waiting", ["b", "a"]),
    "purge_ended": lambda s, n: s.purge("completed", ["done", "a"]),
    "promote": lambda s, n: s.promote(),
    "pause": lambda s, n: s.pause(),
    "pause_task": lambda s, n: s.pause("t"),
    "resume": lambda s, n: s.resume(),
    "resume_task": lambda s, n: s.resume("off"),
    "throttle": lambda s, n: s.settle(
        "w.1", LEASE, endings=[Ending("throttle", b"a", n, "t|0|0|0", 9, "throttled", {"x": 1})]
    ),
    "await": lambda s, n: s.await_end("a", 1000),
    "jot": lambda s, n: s.jot("w.1", [Jot(b"a", n, 1, b"1", 0, [b"1\n"])]),
    "step": lambda s, n: s.step("w.1", "a", n, "charge", b"1"),
    "trim": lambda s, n: s.trim(NOTHING),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_script_fails_before_its_first_write_or_not_at_all(client: Client, call: str) -> None:
    """Redis rolls nothing back, so a job would be nowhere (I-03)."""
    for key in KEYS:
        client.flushall()
        store = Store(client, "t", "q", now=NOW)
        store.add([NewJob("done", "t", b"{}"), NewJob("a", "t", b"{}"), NewJob("b", "t", b"{}")])
        store.add([NewJob("later", "t", b"{}", due="+1"), NewJob("off", "t", b"{}", due="+9")])
        store.cancel(["off"])
        store.join("w.1", LEASE, limits=Limits(rate_max=9, rate_ms=1000, max_active=9))
        store.pause("off")
        done = store.claim("w.1", LEASE).number
        store.settle("w.1", LEASE, completed=[Completed(b"done", done, "t|0|0|0", b"")])
        number = store.claim("w.1", LEASE).number
        name = (
            store.commands.keys.held("w.1") if key == "held" else getattr(store.commands.keys, key)
        )
        client.delete(name)
        client.set(name, "another type")
        before = {k: client.dump(k) for k in client.keys("*")}
        later = Store(client, "t", "q", now=NOW + 2 * LEASE if call == "reap" else NOW + 10)

        error = attempted(CALLS[call], later, number)

        if error:
            assert "JOBDTYPE" in error or "WRONGTYPE" in error, (key, error)
            assert {k: client.dump(k) for k in client.keys("*")} == before, key


def attempted(call: Callable[[Store, int], object], store: Store, number: int) -> str | None:
    """Try; give the error's text, None when all went well."""
    try:
        call(store, number)
    except BrokerError as error:
        return str(error)
    return None
