"""Bad input, end to end through the real commands and a real daemon."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.commands import APP, Place, commands
from support.corruptions import CORRUPTIONS
from support.servers import eventually, running, server_programs

from jobd import Jobd
from jobd.broker.connection import connect
from jobd.cli.main import main

pytestmark = pytest.mark.process

PROGRAM = next(iter(server_programs().values()))
Make = Callable[..., Place]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Make places that leave nothing behind."""
    made: list[Place] = []

    def place(url: str, **how: str) -> Place:
        made.append(Place(tmp_path, url, **how))
        return made[-1]

    yield place
    for each in made:
        each.end()


def test_an_unknown_name_waits_for_the_code_that_knows_it(
    make: Make,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Parked and visible, never lost, never acknowledged; it runs when its code is deployed."""
    place = make(redis_url)
    run = commands(place, monkeypatch, capsys)
    daemon = place.start("run")
    place.ready()
    job = json.loads(run("enqueue", "q", "from-the-future", "--arg", "n=21", "--json").out)["id"]

    def state() -> str:
        return str(json.loads(run("jobs", "show", job, "--json").out)["state"])

    eventually(lambda: state() == "delayed")

    listed = run("jobs", "list", "--queue", "q").out
    assert "parked: no worker knows this task" in listed
    shown = run("jobs", "show", job).out
    assert "deploy the code that declares it" in shown
    assert "parked since:" in shown

    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    place.write(APP.replace("@q.task()\ndef double", '@q.task("from-the-future")\ndef double'))
    place.start("run")
    place.ready()
    # Its next turn comes by itself after 15 s; here it comes now, if it has not come yet.
    client = connect(redis_url)
    client.zadd("jobd:{q}:delayed", {job: 1}, xx=True)
    client.close()
    assert Jobd(redis_url).queue("q").add("double", {"n": 1}).state()
    eventually(lambda: state() == "completed")
    assert place.ask("jobs", "show", job)["result"] == 42


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["q", "a b"], "task name: 'a b'; expected 1 to 128 characters of A-Z a-z 0-9 _ . : -"),
        (["q/r", "t"], "queue: 'q/r'; expected 1 to 128 characters"),
        (["q", "t", "--job-id", "ä"], "job_id: 'ä'; expected 1 to 128 characters"),
        (["q", "t", "--json-args", '{"n": NaN}'], "expected a JSON object"),
        (
            ["q", "t", *(f"--arg=n{i}={'x' * 60_000}" for i in range(3))],
            "bytes as JSON; expected at most 131072; store the data elsewhere",
        ),
        (["q", "t", "--priority", "9000"], "expected a whole number from -8192 to 8191"),
    ],
)
def test_what_cannot_be_added_is_refused_by_name(
    make: Make,
    redis_url: str,
    arguments: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what was expected and what to do; nothing is added."""
    run = commands(make(redis_url), monkeypatch, capsys)

    done = run("enqueue", *arguments)

    assert (done.code, done.out) == (64, "")
    assert said in done.err
    queues = json.loads(run("queues", "list", "--json").out)
    assert all(not sum(each["jobs"].values()) for each in queues)


def test_records_nobody_can_read_are_dead_and_the_worker_lives(
    make: Make,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each is dead with cause corrupt and can be looked at; no process ended for it."""
    place = make(redis_url)
    client = connect(redis_url)
    queue = Jobd(redis_url).queue("q")
    bad = {}
    for name, corrupt in CORRUPTIONS.items():
        job = queue.add("echo", {"n": 1})
        corrupt(client, f"jobd:{{q}}:job:{job.id}")
        bad[job.id] = name
    client.sadd("jobd:queues", b"\xff\xfe")
    client.close()
    place.start("run")

    assert queue.add("double", {"n": 21}).result("60s") == 42
    dead = place.ask("jobs", "list", "--state", "dead")

    assert {job["id"]: job["cause"] for job in dead} == dict.fromkeys(bad, "corrupt")
    [worker] = place.ask("status")["daemon"]["workers"]
    assert (worker["restarts"], worker["last_exit"]) == (0, None)
    assert place.events("helper.ended") == []
    assert place.jobd("jobs", "list", "--state", "dead").stdout.count("cause corrupt") == len(bad)
    monkeypatch.chdir(place.directory)
    for job_id, name in bad.items():
        for how in ([], ["--json"]):
            code, shown = main(["jobs", "show", job_id, *how]), capsys.readouterr()
            assert (code, shown.err) == (0, ""), name
            assert "\x00" not in shown.out, name


UNLOADABLE = {
    "a syntax error": ("app = (", "SyntaxError"),
    "a module that is not there": ("import nowhere_to_be_found", "No module named 'nowhere_to"),
    "an error of its own": ("raise RuntimeError('no\\ndatabase')", "RuntimeError: no database ("),
    "an exit": ("raise SystemExit(0)", "SystemExit: 0"),
    "no such attribute": ("from jobd import Jobd\nmine = Jobd()", "name 'mine' instead"),
    "something else": ("app = 5", "is of type int; expected a jobd.Jobd"),
    "a bad declaration": (
        "from jobd import Jobd\napp = Jobd()\napp.queue('q', atempts=3)",
        "did you mean 'attempts'? (",
    ),
}


# Each is told by `jobd check` in tests/cli; of these the daemon has its own way, or its own words.
ALWAYS = ("an error of its own", "no such attribute", "a bad declaration")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in ALWAYS else pytest.mark.chaos, id=name)
        for name in UNLOADABLE
    ],
)
def test_an_app_that_does_not_load_is_78_and_says_why(
    make: Make, tmp_path: Path, name: str
) -> None:
    """As a record, where all else is one. Without a traceback, and without a Redis."""
    source, why = UNLOADABLE[name]
    place = make(f"unix://{tmp_path}/none.sock", app=source)

    assert place.start("run").wait(60) == 78

    said = place.log.read_text()
    assert "Traceback" not in said
    records = [json.loads(line) for line in said.splitlines()]
    [told] = [record["why"] for record in records if record["event"] == "daemon.failed"]
    assert told.startswith("app: 'shop:app' ")
    assert why in told
    assert place.jobd("check").returncode == 78


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("app = shop", ["jobd.toml:1: not TOML", "correct that line"]),
        (
            "ap = 'shop:app'",
            ["jobd.toml:1: ap: unknown key; expected alerts, app, daemon", "did you mean 'app'?"],
        ),
        (
            "[daemon]\nlease = 'x'\nleese = 1\n[queues.q]\nattempts = 0",
            [
                "daemon.lease: 'x'; expected a duration",
                "daemon.leese: unknown",
                "queues.q.attempts",
            ],
        ),
        ("", ["app: not set; expected module:attribute; add app ="]),
        ("app = 'shop.app'", ["app: 'shop.app'; expected module:attribute, as in 'shop.jobs:app'"]),
    ],
)
def test_a_configuration_that_cannot_be_used_is_78_and_all_its_problems(
    make: Make, redis_url: str, text: str, said: list[str]
) -> None:
    """All at once, each with its file and key."""
    place = make(redis_url)
    (place.directory / "jobd.toml").write_text(text)

    done = place.jobd("run")

    assert (done.returncode, done.stdout) == (78, "")
    for each in said:
        assert each in done.stderr
    assert "Traceback" not in done.stderr
    assert all(re.match(r"jobd: jobd\.toml:\d+: ", line) for line in done.stderr.splitlines())


def test_a_redis_that_comes_late_is_waited_for(make: Make, tmp_path: Path) -> None:
    """It says so, tries again, and works when Redis is there; a stop does not wait for it."""
    place = make(f"unix://{tmp_path}/redis.sock")
    place.start("run")
    place.ready()
    eventually(lambda: roles(place, "broker.lost") == {"keeper", "worker"})
    [said, *_] = place.events("broker.lost")
    assert "cannot be reached: No such file or directory; expected a running server" in said["why"]
    assert said["next"] == "trying again until it answers"

    with running(PROGRAM, tmp_path) as url:
        assert Jobd(url).queue("q").add("double", {"n": 4}).result("60s") == 8
        eventually(lambda: roles(place, "broker.back") == {"keeper", "worker"})
    assert place.events("worker.died") == []
    place.kill()


def test_a_daemon_without_redis_stops_in_order(make: Make, tmp_path: Path) -> None:
    """Nothing is held, so there is nothing to wait for."""
    place = make(f"unix://{tmp_path}/none.sock")
    daemon = place.start("run")
    place.ready()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(60) == 0
    assert "Traceback" not in place.log.read_text()


def roles(place: Place, name: str) -> set[str]:
    """Tell which processes said something."""
    return {event["role"] for event in place.events(name)}


def words(place: Place) -> list[str]:
    """What the daemon says about its server."""
    names = ("store.unfit", "store.doubtful", "broker.lost")
    return [str(event["why"]) for name in names for event in place.events(name)]


@pytest.mark.parametrize(
    ("settings", "said", "works"),
    [
        (["--maxmemory-policy", "allkeys-lru"], "maxmemory-policy: allkeys-lru; expected", True),
        (["--maxmemory-policy", "volatile-ttl"], "maxmemory-policy: volatile-ttl; expected", True),
        (["--save", ""], "persistence: off; expected AOF or RDB", True),
        (["--requirepass", "secret"], "expected the right user and password", False),
        (["--replicaof", "127.0.0.1", "1"], "role: slave; expected the primary", False),
    ],
)
def test_a_bad_server_is_named_at_start(
    make: Make,
    tmp_path: Path,
    settings: list[str],
    said: str,
    works: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In words that say what to change; where jobs can be run all the same, they are."""
    with running(PROGRAM, tmp_path, *settings, ready=False) as url:
        place = make(url)
        run = commands(place, monkeypatch, capsys)
        place.start("run")
        eventually(lambda: any(said in why for why in words(place)))
        if works:
            assert Jobd(url).queue("q").add("double", {"n": 4}).result("60s") == 8
        status = run("status")
        assert said in status.out
        assert status.code == (69 if "--requirepass" in settings else 0)
        assert place.events("worker.died") == []
        place.kill()
