"""Configuration and code read again by a running daemon: HUP, and what clients of its socket ask for."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.commands import Place, commands
from support.servers import eventually

from jobd import Jobd, JobHandle
from jobd.core.errors import DaemonRefused
from jobd.seams import statefile
from jobd.seams.asking import Daemon
from jobd.seams.requests import Recycle, Reload

pytestmark = pytest.mark.process

APP = """
import os, time
from jobd import Jobd
app = Jobd()
q = app.queue("q")
VERSION = 1

@q.task()
def version() -> list[int]:
    return [VERSION, os.getpid()]

@q.task()
def waits_for(path: str) -> int:
    open(path + ".asked", "w").close()
    while not os.path.exists(path):
        time.sleep(0.01)
    return VERSION

@q.task()
def once(path: str) -> None:
    with open(path, "a") as effects:
        effects.write("x")
"""
TWO = "[queues.q]\nprocesses = 2\n"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("place"), own_server, app=APP, more=TWO)
    made.start("run", "-c", "jobd.toml")
    made.ready()
    yield made
    made.end()


@pytest.fixture
def place(standing: Place) -> Iterator[Place]:
    """One for all tests here: what a test has written is as it was again after it, and in force."""
    code, config = standing.directory / "shop.py", standing.directory / "jobd.toml"
    before = code.read_text(), config.read_text()
    yield standing
    if (code.read_text(), config.read_text()) != before:
        standing.write(before[0])
        config.write_text(before[1])
        _reload(standing)
    assert _state(standing).reload_error is None
    eventually(lambda: not _state(standing).reloading and len(_pids(standing)) == 2)


def _pids(place: Place, queue: str = "q") -> set[int]:
    state = statefile.read(place.directory / "run")
    assert state is not None
    return {slot.pid for slot in state.queues.get(queue, []) if slot.pid}


def _state(place: Place) -> statefile.State:
    state = statefile.read(place.directory / "run")
    assert state is not None
    return state


def _reload(place: Place, *, everything: bool = False) -> dict[str, int]:
    with Daemon.reach(place.directory / "run") as daemon:
        return daemon.ask(Reload(all=everything), within=90)


def _next_version(place: Place, number: int) -> None:
    place.write(APP.replace("VERSION = 1", f"VERSION = {number}") + "\n" * number)


def test_new_code_takes_over_and_the_old_ends_its_jobs(place: Place, own_server: str) -> None:
    """A job that began before the reload ends in the old code, however long it takes; those that
    begin after it run in the new."""
    queue = Jobd(own_server).queue("q")
    gate = place.directory / "gate"
    long: JobHandle = queue.add("waits_for", {"path": str(gate)})
    eventually(Path(f"{gate}.asked").exists)
    before, generation = _pids(place), _state(place).generation
    _next_version(place, 2)

    assert _reload(place) == {"generation": generation + 1, "kept": 0, "workers": 2}
    assert not before & _pids(place)
    assert [job.result("60s")[0] for job in [queue.add("version") for _ in range(4)]] == [2] * 4
    assert long.state() == "active"
    eventually(lambda: [leaver.leaving for leaver in _state(place).leavers] == ["reload"])

    gate.touch()
    assert long.result("60s") == 1
    eventually(lambda: not _state(place).leavers)
    assert {cause for slot in _state(place).queues["q"] for cause in slot.exits} == {"recycled"}


def test_what_has_not_changed_keeps_its_processes(place: Place) -> None:
    """Only the queue whose settings changed, and the keeper, are others after a reload; `all` is all."""
    config = place.directory / "jobd.toml"
    config.write_text(config.read_text() + "[queues.other]\n")
    _reload(place)
    q, other = _pids(place), _pids(place, "other")
    assert len(other) == 1
    assert _reload(place)["kept"] == 3
    assert (_pids(place), _pids(place, "other")) == (q, other)

    config.write_text(config.read_text().replace("[queues.other]", "[queues.other]\ntimeout = 60"))
    assert _reload(place)["kept"] == 2
    assert _pids(place) == q
    assert not _pids(place, "other") & other

    config.write_text(config.read_text().partition("[queues.other]")[0])
    _reload(place)
    assert list(_state(place).queues) == ["q"]

    assert _reload(place, everything=True)["kept"] == 0
    assert not _pids(place) & q


def _bad_file(place: Place) -> None:
    config = place.directory / "jobd.toml"
    config.write_text(config.read_text() + "[queues.q2]\nproceses = 1\n")


def _bad_code(place: Place) -> None:
    place.write("import nothing_of_the_kind\n")


def _code_that_hangs(place: Place) -> None:
    config = place.directory / "jobd.toml"
    text = config.read_text().replace("[daemon]", '[daemon]\nboot_timeout = "6s"')
    config.write_text(text)
    _reload(place)
    place.write(APP + "\ntime.sleep(600)\n")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [(_bad_file, "proceses"), (_bad_code, "nothing_of_the_kind"), (_code_that_hangs, "6 s")],
)
def test_what_does_not_load_changes_nothing(
    place: Place, own_server: str, spoil: object, why: str
) -> None:
    """It is refused with the reason, which state.json keeps; the workers are the same and work."""
    assert callable(spoil)
    good = (place.directory / "jobd.toml").read_text()
    spoil(place)
    before, generation = _pids(place), _state(place).generation
    with pytest.raises(DaemonRefused, match=why):
        _reload(place)
    state = _state(place)
    assert state.generation == generation
    assert state.reload_error is not None
    assert why in state.reload_error
    assert _pids(place) == before
    assert Jobd(own_server).queue("q").add("version").result("60s")[0] == 1
    assert {"keeper"} < set(state.helpers)
    eventually(lambda: len(_state(place).helpers) == 2)

    place.write(APP)
    (place.directory / "jobd.toml").write_text(good)
    _reload(place)
    assert _state(place).reload_error is None


def test_old_workers_go_on_while_new_ones_do_not_come_up(tmp_path: Path, redis_url: str) -> None:
    """Where workers import for themselves, bad code is found by them alone: nobody is sent away."""
    place = Place(tmp_path, redis_url, app=APP, more="[queues.q]\npreload = false\n")
    config = place.directory / "jobd.toml"
    # With the queues named nobody but the workers needs the application.
    config.write_text(config.read_text().replace("[daemon]", '[daemon]\nqueues = ["q"]'))
    try:
        place.start("run", "-c", "jobd.toml")
        place.ready()
        queue = Jobd(redis_url).queue("q")
        assert queue.add("version").result("60s")[0] == 1
        place.write("import nothing_of_the_kind\n")
        os.kill(_state(place).pid, signal.SIGHUP)
        eventually(lambda: len(place.events("worker.died")) >= 2)
        assert {event["cause"] for event in place.events("worker.died")} == {"boot"}
        assert queue.add("version").result("60s")[0] == 1

        _next_version(place, 3)
        _reload(place)
        assert queue.add("version").result("60s")[0] == 3
    finally:
        place.end()


def test_hangups_in_a_row_lose_nothing_and_run_nothing_twice(
    place: Place, own_server: str, tmp_path: Path
) -> None:
    """Each with other code, at full load: every job runs once."""
    queue = Jobd(own_server).queue("q")
    effects = tmp_path / "effects"
    daemon, generation = _state(place).pid, _state(place).generation
    died = place.events("worker.died")
    done = 0
    for number in range(1, 5):
        _next_version(place, number + 1)
        queue.add_many([("once", {"path": str(effects)})] * 2000)
        done += 2000
        os.kill(daemon, signal.SIGHUP)
        eventually(lambda number=number: _state(place).generation == generation + number)
    eventually(lambda: effects.stat().st_size >= done)
    eventually(lambda: not _state(place).reloading and not _state(place).leavers)
    assert effects.stat().st_size == done
    assert place.events("worker.died") == died


def test_one_worker_is_replaced_by_hand(place: Place) -> None:
    """Its successor is there before it goes; a slot that is not there is an error with those that are."""
    first, second = (slot.pid for slot in _state(place).queues["q"])
    with Daemon.reach(place.directory / "run") as daemon:
        daemon.ask(Recycle("q.1"), within=90)
        with pytest.raises(DaemonRefused, match=r"q\.1, q\.2"):
            daemon.ask(Recycle("q.7"), within=90)
    eventually(lambda: first not in _pids(place) and len(_pids(place)) == 2)
    assert second in _pids(place)


def _release(top: Path, number: int) -> Path:
    release = top / str(number)
    release.mkdir()
    (release / "shop.py").write_text(APP.replace("VERSION = 1", f"VERSION = {number}"))
    return release


def _pointed(link: Path, release: Path) -> None:
    fresh = link.with_suffix(".new")
    fresh.symlink_to(release)
    fresh.replace(link)


def test_a_directory_is_known_by_its_name(tmp_path: Path, redis_url: str) -> None:
    """Started in `current`: what that names at a reload is loaded, and while it names nothing a reload
    says so; workers go on, and when it is back all is well by itself."""
    place = Place(tmp_path, redis_url, app=APP, more=TWO)
    (tmp_path / "shop.py").unlink()
    releases = [_release(tmp_path, number) for number in (1, 2)]
    for release in releases:
        (release / "jobd.toml").write_text((tmp_path / "jobd.toml").read_text())
    current = tmp_path / "current"
    _pointed(current, releases[0])
    queue = Jobd(redis_url).queue("q")
    try:
        place.start("run", "-c", "jobd.toml", within=current)
        place.ready()
        assert queue.add("version").result("60s")[0] == 1

        _pointed(current, releases[1])
        shutil.rmtree(releases[0])
        assert _reload(place)["kept"] == 0
        assert queue.add("version").result("60s")[0] == 2

        releases[1].rename(tmp_path / "aside")
        with pytest.raises(DaemonRefused, match=f"working directory {current} is gone"):
            _reload(place)
        assert f"working directory {current} is gone" in place.jobd("doctor", "-q").stdout
        assert queue.add("version").result("60s")[0] == 2
        os.kill(_preloader(place), signal.SIGKILL)
        eventually(lambda: place.events("helper.unstarted"))
        assert current.name in place.events("helper.unstarted")[-1]["why"]

        (tmp_path / "aside").rename(releases[1])
        for pid in _pids(place):
            os.kill(pid, signal.SIGKILL)
        assert queue.add("version").result("60s")[0] == 2
        _reload(place)
        assert "working directory" not in place.jobd("doctor", "-q").stdout
    finally:
        place.end()


def _preloader(place: Place) -> int:
    pid = _state(place).pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    [found] = [p for p in children if "preloader" in Path(f"/proc/{p}/cmdline").read_text()]
    return int(found)


def test_a_directory_of_its_own_that_is_another_takes_a_restart_and_the_answer_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = commands(place, monkeypatch, capsys)
    config = place.directory / "jobd.toml"
    elsewhere = place.directory / "elsewhere"
    config.write_text(config.read_text().replace(f"{place.directory}/run", str(elsewhere)))
    run = str(place.directory / "run")

    done = ask("reload", "--runtime-dir", run)
    assert done.code == 0, done.err
    assert (
        f"{elsewhere}; the daemon goes on in {run}; another directory takes a restart" in done.out
    )

    config.write_text(config.read_text().replace(str(elsewhere), run))
    assert ask("reload").out == "reloaded\n"
