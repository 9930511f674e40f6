"""The control socket: what is asked arrives, what is answered comes back, and nobody costs much."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.daemons import eventually

from jobd.core.errors import (
    DaemonRefused,
    DaemonSilent,
    HostError,
    NoDaemon,
    OtherVersion,
)
from jobd.seams.asking import Daemon
from jobd.seams.control import MOST_CLIENTS, Asked, Control, short_path
from jobd.seams.requests import (
    KINDS,
    Dump,
    Ping,
    Recycle,
    Refusal,
    Reload,
    Request,
    Scale,
    Stop,
    name_of,
    read,
)

ALL: list[Request] = [
    Reload(), Reload(all=True), Stop(), Stop(now=True), Scale("q", to=3), Scale("q", by=-1),
    Scale("q"), Recycle("q.1"), Dump(), Dump("q.1"), Dump("q.1", tell=True), Ping(),
]  # fmt: skip


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Control]:
    made = Control.listen(tmp_path)
    yield made
    made.close()


@contextmanager
def raw(directory: Path) -> Iterator[socket.socket]:
    """A client that speaks as it likes."""
    with socket.socket(socket.AF_UNIX) as client, short_path(directory) as path:
        client.settimeout(5)
        client.connect(path)
        yield client


def taken(control: Control, count: int = 1) -> list[Asked]:
    """What was asked, once so much has been."""
    asked: list[Asked] = []
    eventually(f"{count} requests", lambda: asked.extend(control.take()) or len(asked) >= count)
    return asked


@contextmanager
def served(
    control: Control, ok: dict[str, object] | None, error: Refusal | None = None
) -> Iterator[list[Asked]]:
    """A daemon in a thread that answers everything alike."""
    seen: list[Asked] = []
    over = threading.Event()

    def loop() -> None:
        while not over.wait(0.005):
            for asked in control.take():
                seen.append(asked)
                control.note(asked.client, "half of it")
                control.answer(asked.client, ok=ok, error=error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("request_", ALL, ids=repr)
def test_a_request_arrives_as_it_was_asked(
    request_: Request, control: Control, tmp_path: Path
) -> None:
    heard: list[str] = []
    with served(control, {"n": 1}) as seen, Daemon.reach(tmp_path) as daemon:
        assert daemon.ask(request_, within=30, heard=heard.append) == {"n": 1}
        assert daemon.pid == os.getpid()
    assert [(each.request, each.pid, each.uid) for each in seen] == [
        (request_, os.getpid(), os.geteuid())
    ]
    assert heard == ["half of it"]


def test_a_large_answer_arrives_whole(control: Control, tmp_path: Path) -> None:
    """Larger than what the system takes at once: stacks of many processes."""
    text = "x\n" * 400_000
    with served(control, {"text": text}), Daemon.reach(tmp_path) as daemon:
        assert daemon.ask(Dump(tell=True), within=30) == {"text": text}


def test_every_request_has_a_name() -> None:
    assert {name_of(each) for each in ALL} == set(KINDS)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda s: st.lists(s) | st.dictionaries(st.sampled_from([*KINDS, "all", "to"]), s),
    )
)
def test_whatever_is_said_is_a_request_or_refused(message: object) -> None:
    assert isinstance(read(message), Request | Refusal)


def test_a_newer_client_may_say_more() -> None:
    assert read({"stop": {"now": True, "gently": 1}}) == Stop(now=True)


def test_the_socket_is_ours_alone(control: Control, tmp_path: Path) -> None:
    assert (tmp_path / "control").stat().st_mode & 0o777 == 0o600
    control.close()
    assert not (tmp_path / "control").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_who_may_not_ask_is_told_so(control: Control, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "control").chmod(0o666)  # what lets a stranger in must not be the mode alone
    child = os.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect("control")
            with suppress(OSError):
                stranger.sendall(b'{"stop": {}}\n')
            stranger.settimeout(5)
            try:
                os._exit(0 if b"not_permitted" in stranger.recv(4096) else 1)
            finally:
                os._exit(2)
    heard: list[Asked] = []

    def ended() -> tuple[int, int] | None:
        heard.extend(control.take())
        pid, how = os.waitpid(child, os.WNOHANG)
        return (pid, how) if pid else None

    assert eventually("the stranger ends", ended) == (child, 0)
    assert heard == []


def test_a_directory_may_have_any_path(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    control = Control.listen(deep)
    with served(control, {}), Daemon.reach(deep) as daemon:
        assert daemon.ask(Ping(), within=30) == {}
    control.close()


def test_what_a_dead_daemon_left_is_no_daemon_and_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        Daemon.reach(tmp_path)
    with pytest.raises(NoDaemon):
        Daemon.reach(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as left, short_path(tmp_path) as path:
        left.bind(path)
    with pytest.raises(NoDaemon, match="jobd run"):
        Daemon.reach(tmp_path)
    control = Control.listen(tmp_path)
    with served(control, {}), Daemon.reach(tmp_path) as daemon:
        assert daemon.ask(Ping(), within=30) == {}
    control.close()


def test_a_refusal_says_the_daemons_word(control: Control, tmp_path: Path) -> None:
    with (
        served(control, None, Refusal("config", "jobd.toml: broken")),
        Daemon.reach(tmp_path) as daemon,
        pytest.raises(DaemonRefused, match="broken") as found,
    ):
        daemon.ask(Reload(), within=30)
    assert (found.value.reason, found.value.exit_code) == ("config", 78)


def test_a_daemon_of_another_version_is_named_as_such(control: Control, tmp_path: Path) -> None:
    with served(control, {}), raw(tmp_path) as client:
        client.sendall(b'{"dance": {}}\n{"stop": {"now": "perhaps"}}\n')
        answers = b""
        while answers.count(b"\n") < 2:
            answers += client.recv(4096)
    assert b"unknown_request" in answers
    assert b"bad_request" in answers
    for code in ("unknown_request", "bad_request"):
        with (
            served(control, None, Refusal(code, "what?")),
            Daemon.reach(tmp_path) as daemon,
            pytest.raises(OtherVersion, match="another version"),
        ):
            daemon.ask(Ping(), within=30)


def test_a_hung_daemon_is_told_from_none(control: Control, tmp_path: Path) -> None:
    with Daemon.reach(tmp_path) as daemon:
        with pytest.raises(DaemonSilent, match="no answer within"):
            daemon.ask(Ping(), within=0.05)
        assert not daemon.ended(within=0.01)


def test_a_hung_daemon_whose_line_is_full_is_silent_too(control: Control, tmp_path: Path) -> None:
    waiting: list[Daemon] = []

    def too_many() -> None:
        while len(waiting) < 200:
            waiting.append(Daemon.reach(tmp_path, within=0.05))

    with pytest.raises(DaemonSilent, match="takes no connection"):
        too_many()
    for daemon in waiting:
        daemon.close()


def test_a_client_that_vanished_costs_nothing(control: Control, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3 * MOST_CLIENTS):
        with raw(tmp_path) as client:
            client.sendall(b'{"reload": {}}\n')
        [asked] = taken(control)
        control.answer(asked.client, ok={})
        control.note(asked.client, "to nobody")
    assert control.take() == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_clients_that_say_nothing_lock_nobody_out(control: Control, tmp_path: Path) -> None:
    silent = []
    for _ in range(3 * MOST_CLIENTS):
        silent.append(socket.socket(socket.AF_UNIX))
        with short_path(tmp_path) as path:
            silent[-1].connect(path)
        control.take()
    with served(control, {}), Daemon.reach(tmp_path) as daemon:
        assert daemon.ask(Ping(), within=30) == {}
    for client in silent:
        client.close()


def test_where_all_wait_for_an_answer_the_next_is_told_so(control: Control, tmp_path: Path) -> None:
    waiting = []
    for _ in range(MOST_CLIENTS):
        waiting.append(Daemon.reach(tmp_path))
        with pytest.raises(DaemonSilent):
            waiting[-1].ask(Reload(), within=0.01)
        taken(control)
    with Daemon.reach(tmp_path) as daemon:
        control.take()
        with pytest.raises(DaemonSilent, match="others wait"):
            daemon.ask(Ping(), within=30)
    for each in waiting:
        each.close()


def test_bytes_are_bounded_in_both_directions(control: Control, tmp_path: Path) -> None:
    with raw(tmp_path) as client:
        client.setblocking(False)
        sent = 0
        for _ in range(10_000):
            with suppress(BlockingIOError):
                sent += client.send(b"x" * 65536)
            control.take()
            if not control._clients and sent:
                break
        assert sent < 2_000_000
    with raw(tmp_path) as client:
        client.sendall(b'{"ping": {}}\n')
        [asked] = taken(control)
        for _ in range(2000):
            control.note(asked.client, "x" * 1000)
        kept = control._clients[asked.client].lines
        assert len(kept._out) < 50_000


def test_who_knocks_while_others_are_let_in_is_heard_too(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word that somebody knocks is given once: no look may take it and let nobody in."""
    let_in, late = control._let_in, []

    with ExitStack() as stack:

        def and_then_another_knocks() -> None:
            let_in()
            if len(late) < 3:
                late.append(stack.enter_context(raw(tmp_path)))
                late[-1].sendall(b'{"ping": {}}\n')

        monkeypatch.setattr(control, "_let_in", and_then_another_knocks)
        stack.enter_context(raw(tmp_path))
        asked: list[Asked] = []
        while len(asked) < 3:
            assert select.select([control.fileno()], [], [], 5)[0], "somebody waits unheard"
            asked += control.take()


def test_out_of_descriptors_the_loop_does_not_spin_and_the_daemon_lives(
    control: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = control._listener
    calls = []

    class Starved:
        """A listener of a process that has no descriptor left."""

        fileno = real.fileno

        def accept(self) -> tuple[socket.socket, object]:
            calls.append(1)
            if control._spare is not None:
                raise OSError(24, "Too many open files")
            return real.accept()

    monkeypatch.setattr(control, "_listener", Starved())
    with raw(tmp_path) as client:
        eventually("turned away", lambda: control.take() == [] and client.recv(1) == b"")
    assert control._spare is not None
    monkeypatch.setattr(control, "_listener", real)
    with served(control, {}), Daemon.reach(tmp_path) as daemon:
        assert daemon.ask(Ping(), within=30) == {}


def test_the_end_of_a_daemon_is_waited_for(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        control = Control.listen(tmp_path)
        asked: list[Asked] = []
        while not asked:
            asked += control.take()
        control.answer(asked[0].client, ok={})
        os._exit(0)
    eventually("it listens", (tmp_path / "control").exists)

    def reached() -> Daemon | None:
        with suppress(HostError):
            return Daemon.reach(tmp_path)
        return None

    with eventually("a connection", reached) as daemon:
        assert daemon.pid == child
        assert daemon.ask(Stop(), within=30) == {}
        assert daemon.ended(within=30)
        with pytest.raises(DaemonSilent, match="ended"):
            daemon.ask(Ping(), within=30)
    os.waitpid(child, 0)
