"""One Redis user for each role: nothing it needs is refused, and what it does not need is."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import NoPermissionError, ResponseError
from support.commands import Place
from support.sentinels import free_ports
from support.servers import eventually, running, server_programs, version_of

from jobd import JobCancelled, Jobd
from jobd.broker import acl
from jobd.broker.connection import connect
from jobd.cli.main import main
from jobd.core.errors import NotPermitted, StoreUnusable
from jobd.web.api.operations import Operations

PROGRAMS = server_programs()
FIRST = next(iter(PROGRAMS))
KINDS = [
    pytest.param(kind, marks=() if kind == FIRST else pytest.mark.chaos, id=kind)
    for kind in PROGRAMS
]
APP = """
from jobd import Fixed, Job, Jobd, Retry, Snooze

app = Jobd()
q = app.queue("q", attempts=2, backoff=Fixed("10ms"))
limited = app.queue("limited", rate_limit={"max": 100, "per": "1s"})

@q.task()
def double(n: int) -> int:
    return 2 * n

@q.task()
def fails_once(job: Job) -> str:
    job.progress(0.5, "half")
    job.log("a line")
    job.once("step", lambda: 1)
    if job.attempt == 1:
        raise ValueError("first")
    return "second"

@q.task()
def fails() -> None:
    raise ValueError("always")

@q.task(max_crashes=1)
def crashes() -> None:
    import os
    os._exit(3)

@q.task()
def waits(path: str) -> str:
    import os, time
    while not os.path.exists(path):
        time.sleep(0.01)
    return "waited"

@limited.task()
def slow() -> int:
    return 1

@q.every("1s")
def tick() -> None:
    pass

@app.on("dead")
def dead(event: object) -> None:
    pass
"""


# What redis-py and the doctor ask of any server, and do without.
_ASKED_ANYWAY = ("config", "config|get", "client", "client|setinfo", "acl", "acl|getuser")


MORE = """
[web]
bind = "127.0.0.1:{port}"
[[alerts.rules]]
name = "deaths"
kind = "dead"
queue = "q"
above = 1
[[alerts.rules]]
name = "memory"
kind = "redis_memory"
above = "90%"
[[alerts.sinks]]
kind = "webhook"
url = "http://127.0.0.1:9/none"
allow_private = true
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"""


class World:
    """A server whose default user is off limits, and a user for each role."""

    def __init__(self, kind: str, top: Path, socket_url: str) -> None:
        path = socket_url.removeprefix("unix://")
        self.admin = connect(f"unix://admin:a@{path}")
        numbers = [int(part) for part in version_of(PROGRAMS[kind]).split(".")[:2]]
        is_old = "valkey" not in kind and numbers < [7, 2]
        bare = connect(socket_url)
        bare.execute_command("ACL SETUSER", "admin", "on", ">a", "~*", "&*", "+@all")
        bare.close()
        self.admin.execute_command("ACL SETUSER", "default", "off")
        for role in acl.ROLES:
            words = acl.rule(role, "jobd", before_setinfo=is_old)
            self.admin.execute_command("ACL SETUSER", f"jobd-{role}", *words, ">s%t")
        self.urls = {role: f"unix://jobd-{role}:s%25t@{path}" for role in acl.ROLES}
        self.admin.execute_command("ACL LOG", "RESET")

    def denied(self) -> set[tuple[str, str, str]]:
        """Give what was refused so far: who, why, what. That is asked and not needed is not listed."""
        found = set()
        for entry in self.admin.acl_log(1000):
            who, why, what = (entry[key] for key in ("username", "reason", "object"))
            what = what.lower()
            asked_anyway = what in _ASKED_ANYWAY
            if not asked_anyway:
                found.add((who, why, what))
        return found


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    (tmp_path / "server").mkdir()
    with running(PROGRAMS[request.param], tmp_path / "server") as url:
        made = World(request.param, tmp_path, url)
        yield made
        made.admin.close()


async def on_a_loop(app: Jobd) -> None:
    """What a producer does on an event loop."""
    try:
        queue = app.queue("q")
        handle = await queue.aadd("double", {"n": 3})
        assert await handle.aresult("20s") == 6
        await queue.aadd_many([("double", {"n": 1}), ("double", {"n": 2})])
        other = await queue.aadd("double", {"n": 1}, delay="1h")
        assert await other.acancel() == "cancelled"
    finally:
        await app.producer.async_client.aclose()


def produce(app: Jobd, gate: Path) -> None:
    """What a producer does."""
    queue = app.queue("q")
    assert queue.add("double", {"n": 2}).result("20s") == 4
    assert queue.add("fails_once", {}).result("20s") == "second"
    asyncio.run(on_a_loop(app))
    late = queue.add("double", {"n": 2}, delay="1h", job_id="mine")
    assert queue.add("double", {"n": 2}, job_id="mine").outcome == "duplicate"
    assert queue.add("double", {"n": 2}, unique=True).outcome == "enqueued"
    assert late.reschedule("2h") == "delayed"
    assert late.info() is not None
    assert late.why() is not None
    assert late.cancel() == "cancelled"
    with pytest.raises(JobCancelled):
        late.result("1s")
    assert late.retry() == "retried"
    late.result("20s")
    assert late.delete() == "deleted"
    held = queue.add("waits", {"path": str(gate)})
    held.progress()
    queue.schedules.put("mine", task="double", args={"n": 1}, every="1h")
    assert [each.name for each in queue.schedules.list()]
    queue.schedules.pause("mine")
    queue.schedules.resume("mine")
    queue.schedules.remove("mine")
    app.queue("limited").add_many([("slow", {})] * 5)
    queue.add("fails", {})
    queue.add("crashes", {})
    gate.touch()
    assert held.result("20s") == "waited"


def operate(url: str) -> None:
    """What the web process does beside reading: an operation on many jobs, seen and stopped."""
    operations = Operations(connect(url), "jobd", host="h", emit=lambda _event: None)
    began = operations.start(lambda _progress: True, verb="retry", queue="q", by="me")
    eventually(lambda: not operations._runs)
    assert operations.get(began.id) == operations.all()[0] == operations.stop(began.id)


OPERATIONS = [
    ["queues", "list"], ["queues", "pause", "q"], ["queues", "resume", "q"], ["jobs", "list"],
    ["enqueue", "q", "double", "--arg", "n=1"],
    ["jobs", "retry", "--queue", "q", "--state", "dead", "--dry-run"],
    ["jobs", "retry", "--queue", "q", "--state", "dead"],
    ["jobs", "cancel", "--queue", "q", "--state", "waiting"],
    ["jobs", "delete", "--queue", "q", "--state", "completed"],
    ["alerts", "list"], ["alerts", "mute", "memory", "--for", "1h"], ["schedules", "list"], ["status"], ["doctor"], ["queues", "drain", "limited"],
    ["queues", "purge", "limited", "--yes"],
]  # fmt: skip
LOOKS = [["status"], ["queues", "list"], ["jobs", "list"], ["schedules", "list"]]


@pytest.mark.process
@pytest.mark.parametrize("world", KINDS, indirect=True)
def test_each_role_may_do_what_it_must(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole life: the daemon, a producer, the command line and a monitor, each as its user."""
    here = ["-c", str(tmp_path / "jobd.toml")]
    [port] = free_ports(1)
    place = Place(tmp_path, world.urls["daemon"], app=APP, more=MORE.format(port=port))
    try:
        place.start("run", "-c", "jobd.toml")
        place.ready()
        app = Jobd(world.urls["producer"])
        produce(app, tmp_path / "gate")
        operate(world.urls["daemon"])
        eventually(lambda: len(list(app.queue("q").find(state="dead"))) >= 2)
        trouble: list[Any] = []
        for role, lines in (("operator", OPERATIONS), ("monitor", LOOKS)):
            for words in lines:
                code = main([*words, *here, "--redis-url", world.urls[role]])  # type: ignore[index]
                out, err = capsys.readouterr()
                trouble.append((role, words, code, out[-1000:], err))
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as scrape:
            page = scrape.read()
        assert not place.events("store.unfit")
    finally:
        place.end()

    assert world.denied() == set()
    assert b"jobd_redis_up 1.0" in page
    assert b"jobd_jobs_total" in page
    assert [each for each in trouble if each[2] not in (0, 1)] == []


OUTSIDE: list[list[str]] = [
    ["FLUSHALL"], ["FLUSHDB"], ["CONFIG", "SET", "save", ""], ["CONFIG", "GET", "requirepass"],
    ["KEYS", "*"], ["SHUTDOWN", "NOSAVE"], ["MONITOR"], ["CLIENT", "LIST"],
    ["CLIENT", "KILL", "TYPE", "normal"], ["ACL", "LIST"], ["ACL", "SETUSER", "x"], ["SCRIPT", "FLUSH"],
    ["REPLICAOF", "NO", "ONE"], ["SWAPDB", "0", "1"], ["RANDOMKEY"], ["MIGRATE", "h", "1", "k", "0", "1"],
    ["HGET", "shop:{q}:meta", "claim"], ["SMEMBERS", "jobd2:queues"], ["SET", "jobdx", "1"],
    ["PUBLISH", "other", "x"], ["SUBSCRIBE", "other"],
]  # fmt: skip
BEYOND: dict[acl.Role, list[list[str]]] = {
    "producer": [
        ["BLPOP", "jobd:{q}:wake", "0.01"], ["ZREMRANGEBYRANK", "jobd:{q}:dead", "0", "1"],
    ],
    "operator": [["BLPOP", "jobd:{q}:wake", "0.01"]],
    "daemon": [],
    "monitor": [
        ["SADD", "jobd:queues", "x"], ["EVAL", "return 1", "0"], ["EVALSHA", "x" * 40, "0"],
        ["DEL", "jobd:epoch"], ["SUBSCRIBE", "jobd:x"], ["SCRIPT", "LOAD", "return 1"],
    ],
}  # fmt: skip


@pytest.mark.parametrize("world", KINDS, indirect=True)
def test_what_a_role_does_not_need_is_refused(world: World) -> None:
    """By itself and from a script: administration, other namespaces, other roles' commands."""
    for role, url in world.urls.items():
        client = connect(url)
        for words in [*OUTSIDE, *BEYOND[role]]:
            with pytest.raises(NoPermissionError):
                pytest.fail(f"{role} may {words}: {client.execute_command(*words)!r}")
        if role != "monitor":
            for call in (
                "'FLUSHALL'",
                "'HGET', 'shop:{q}:meta', 'claim'",
                "'PUBLISH', 'other', 'x'",
            ):
                with pytest.raises(ResponseError, match=r"user executing the script|ACL failure"):
                    client.eval(f"return redis.call({call})", 0)
        client.close()


def add(client_url: str) -> object:
    return Jobd(client_url).queue("q").add("double", {"n": 1})


@pytest.mark.parametrize(
    "words",
    [("queues", "pause", "q"), ("queues", "purge", "q", "--yes"), ("enqueue", "q", "double"), ("status",)],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("world", KINDS[:1], indirect=True)
def test_who_may_not_is_told_77(
    world: World, words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No other exit code: for 69 one tries again."""
    add(world.urls["producer"])
    if words == ("status",):
        world.admin.execute_command("ACL SETUSER", "jobd-monitor", "-smembers")
        words += ("--runtime-dir", str(tmp_path))

    code = main([*words, "--redis-url", world.urls["monitor"]])

    said = capsys.readouterr()
    assert (code, "doctor --acl" in said.out + said.err) == (77, True), said


@pytest.mark.parametrize("world", KINDS, indirect=True)
def test_what_is_missing_is_named(world: World) -> None:
    """The command where the server says it, and always the script and its keys."""
    url, user = world.urls["producer"], "jobd-producer"

    world.admin.execute_command("ACL SETUSER", user, "-smembers")
    with pytest.raises(NotPermitted, match="'smembers'"):
        add(url)
    world.admin.execute_command("ACL SETUSER", user, "+smembers", "-evalsha")
    with pytest.raises(NotPermitted, match=r"'evalsha'.*script add on jobd:\{q\}:"):
        add(url)
    world.admin.execute_command("ACL SETUSER", user, "+evalsha", "-zadd")
    with pytest.raises(NotPermitted, match=r"script add on jobd:\{q\}:"):
        add(url)
    world.admin.execute_command(
        "ACL SETUSER", user, "+zadd", "resetkeys", "~jobd:queues", "~jobd:epoch"
    )
    with pytest.raises(
        NotPermitted, match=r"script add on jobd:\{q\}:.*; expected a user that may"
    ):
        add(url)
    with pytest.raises(NotPermitted, match="`jobd doctor --acl` prints one for each role"):
        add(url)
    assert add(world.urls["operator"])
    with pytest.raises(StoreUnusable, match="expected the right user and password"):
        add(url.replace("s%25t", "wrong"))
    with pytest.raises(StoreUnusable):
        add("unix://" + url.rpartition("@")[2])


def test_the_rules_are_those_of_the_scripts() -> None:
    """A role may call what its scripts call: no more writes than that."""
    assert "flushall" not in acl.commands_of("daemon")
    assert {"zadd", "hset", "evalsha"} <= set(acl.commands_of("producer"))
    assert not {"hset", "zadd", "del", "evalsha"} & set(acl.commands_of("monitor"))
    assert set(acl.commands_of("operator")) < set(acl.commands_of("daemon"))
    assert set(acl.commands_of("producer")) <= set(acl.commands_of("operator"))
    line = acl.line("monitor", "shop", before_setinfo=True)
    assert line.startswith(
        "ACL SETUSER shop-monitor reset on >PASSWORD ~shop:* resetchannels -@all +acl"
    )
    assert "setinfo" not in line


@pytest.mark.parametrize("world", KINDS, indirect=True)
def test_what_the_doctor_prints_can_be_pasted(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For the namespace that is configured, on any server: a user for each role, who works."""
    (tmp_path / "jobd.toml").write_text('app = "shop:app"\n[redis]\nnamespace = "shop"\n')
    assert main(["doctor", "--acl", "-c", str(tmp_path / "jobd.toml")]) == 0
    lines = [each for each in capsys.readouterr().out.splitlines() if not each.startswith("#")]
    for line in filter(None, lines):
        world.admin.execute_command(*line.split())

    url = world.urls["producer"].replace("jobd-producer:s%25t", "shop-producer:PASSWORD")
    assert Jobd(url, namespace="shop").queue("q").add("double", {"n": 1}).outcome == "enqueued"
    with pytest.raises(NotPermitted):
        add(url)
