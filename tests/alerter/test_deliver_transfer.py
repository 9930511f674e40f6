"""One request to real receivers that behave in all the ways they do: bounds, certificates, addresses."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from support import receivers as r
from support.notes import a_note
from support.receivers import Receiver, receiving
from support.servers import eventually

from jobd.alerter import transfer
from jobd.alerter.address import NoAddress, Resolver
from jobd.alerter.deliver import send_now
from jobd.core.alerts.notification import Instance
from jobd.core.alerts.sending import Refused, Sent
from jobd.core.config_alerts import SinkConfig

CANARY = "canary-5up3r"
# A busy machine takes its time for a handshake; who waits for the end of it has SHORT.
TIMEOUT, SHORT = 30.0, 0.6


def sink(url: str, kind: str = "webhook", *, allow_private: bool = True, timeout: float = TIMEOUT) -> SinkConfig:  # fmt: skip
    return SinkConfig(
        name="ops", kind=kind, url=f"{url}/{CANARY}?token={CANARY}", secret=CANARY,  # type: ignore[arg-type]
        allow_private=allow_private, timeout=timeout,
    )  # fmt: skip


def refused(outcome: Sent | Refused, *words: str) -> Refused:
    """It was refused, for a reason that says this and no secret."""
    assert isinstance(outcome, Refused)
    for word in words:
        assert word in outcome.why
    assert CANARY not in outcome.why
    return outcome


def test_it_arrives_signed_and_whole() -> None:
    with receiving() as receiver:
        assert send_now(sink(receiver.url), a_note()) == Sent(204)
    [hit] = receiver.hits
    assert hit.line == f"POST /hook/{CANARY}?token={CANARY} HTTP/1.1"
    assert hit.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert Webhook(CANARY.encode()).verify(hit.body, hit.headers)["data"]["id"] == a_note().id


@pytest.mark.parametrize("does", [r.hang, r.drip], ids=["hang", "drip"])
def test_who_does_not_answer_is_not_waited_for(does: r.Behaviour) -> None:
    """Not even where something comes all the time."""
    began = time.monotonic()
    with receiving(does) as receiver:
        outcome = send_now(sink(receiver.url, timeout=SHORT), a_note())
        took = time.monotonic() - began
    assert refused(outcome, "has not answered within 600ms").how == "failed"
    assert SHORT * 0.9 <= took < SHORT + 20, "and it goes on for ever"


def test_who_does_not_accept_is_not_waited_for() -> None:
    """A backlog that is full: the connection is never made."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(address)
        outcome = send_now(sink(f"http://127.0.0.1:{address[1]}", timeout=SHORT), a_note())
        for each in fillers:
            each.close()
    refused(outcome, "within 600ms")


def test_an_answer_that_goes_on_and_on_is_an_answer() -> None:
    for does in (r.drip_body, r.huge):
        with receiving(does) as receiver:
            assert send_now(sink(receiver.url), a_note()) == Sent(200)
            assert receiver.poured < 16 * 1024 * 1024  # what the kernel buffers, and no more


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (r.reset, ("broken",)),
        (r.nonsense, ("does not speak HTTP",)),
        (r.huge_head, ("does not speak HTTP",)),
        (lambda *_: None, ("broken off",)),
        (r.status(500), ("HTTP 500",)),
        (r.status(302, f"location: https://x.example/{CANARY}"), ("HTTP 302", "a redirect to https://x.example;")),
        (r.status(301, f"location: /{CANARY}"), ("HTTP 301", "a redirect;")),
        (r.status(400, body=CANARY.encode()), ("HTTP 400",)),
        (r.status(410), ("HTTP 410", "gone for good")),
    ],
)  # fmt: skip
def test_what_went_wrong_is_said(does: r.Behaviour, words: tuple[str, ...]) -> None:
    with receiving(does) as receiver:
        refused(send_now(sink(receiver.url), a_note()), *words)
    assert len(receiver.hits) == 1  # no redirect was followed, nothing sent twice


def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{r.refusing_port()}"
    refused(send_now(sink(url), a_note()), f"{url} cannot be reached: ", "refused")


def test_a_pause_that_is_asked_for_is_heard() -> None:
    with receiving(r.status(429, "retry-after: 33")) as receiver:
        assert refused(send_now(sink(receiver.url), a_note())).after == 33


@pytest.mark.parametrize("url", ["", "hooks.example", "ftp://x/", "http://", "http://[::1", "http://x:99999/"])  # fmt: skip
def test_an_address_that_is_none_is_said(url: str) -> None:
    config = SinkConfig(name="ops", kind="webhook", url=url)
    refused(send_now(config, a_note()), "url: it cannot be read")


# --- certificates ---


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("tls")
    return {name: r.certificate(directory, name) for name in ("hooks.test", "other.test")}


@pytest.fixture
def trusting(pems: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system that trusts both certificates, as an operator has it: by SSL_CERT_FILE."""
    bundle = pems["hooks.test"].parent / "bundle.crt"
    bundle.write_text("".join(Path(f"{pem}.crt").read_text() for pem in pems.values()))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    transfer._trust.cache_clear()
    yield
    transfer._trust.cache_clear()


def here(host: str, port: int) -> list[str]:
    """A resolver for which every name is this host."""
    return ["127.0.0.1"]


def test_a_certificate_that_nobody_vouches_for_is_refused(pems: dict[str, Path]) -> None:
    with Receiver(tls=r.tls_of(pems["hooks.test"])) as receiver:
        url = f"https://hooks.test:{receiver.port}"
        outcome = send_now(sink(url), a_note(), resolver=Resolver(here))
    refused(outcome, "certificate we do not trust", "self")
    assert receiver.hits == []


def test_a_certificate_of_another_name_is_refused(pems: dict[str, Path], trusting: None) -> None:
    """Though the connection went to an address: what counts is the name in the url."""
    with Receiver(tls=r.tls_of(pems["other.test"])) as receiver:
        url = f"https://hooks.test:{receiver.port}"
        outcome = send_now(sink(url), a_note(), resolver=Resolver(here))
    refused(outcome, "certificate we do not trust", "hooks.test")
    assert receiver.hits == []


def test_the_name_is_said_in_tls_and_in_the_request(pems: dict[str, Path], trusting: None) -> None:
    names: list[str | None] = []
    context = r.tls_of(pems["hooks.test"])
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    with Receiver(tls=context) as receiver:
        url = f"https://hooks.test:{receiver.port}"
        assert send_now(sink(url), a_note(), resolver=Resolver(here)) == Sent(204)
    assert names == ["hooks.test"]
    assert receiver.hits[0].headers["host"] == f"hooks.test:{receiver.port}"


def test_tls_with_who_speaks_none() -> None:
    with receiving(r.nonsense) as receiver:
        outcome = send_now(sink(receiver.url.replace("http:", "https:")), a_note())
    refused(outcome, "speaks no TLS that we understand")


def test_tls_with_who_says_nothing_is_bounded_and_leaves_no_connection() -> None:
    """The other side sees at once that we are gone."""
    with receiving(closes) as receiver:
        url = receiver.url.replace("http:", "https:")
        outcome = send_now(sink(url, timeout=SHORT), a_note())
        refused(outcome, "within")
        eventually(lambda: receiver.poured == 1, within=30)


def closes(receiver: Receiver, wire: socket.socket) -> None:
    """Say nothing, and see the other side go."""
    assert wire.recv(65536) == b""
    receiver.poured = 1


# --- addresses ---


class Changing:
    """A resolver that gives another answer each time (DNS rebinding)."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def test_a_private_address_is_refused_before_anything_is_sent() -> None:
    with receiving() as receiver:
        for url in (
            receiver.url,
            f"http://localhost:{receiver.port}",
            f"http://[::ffff:127.0.0.1]:{receiver.port}",
        ):
            outcome = refused(
                send_now(sink(url, allow_private=False), a_note()), "loopback", "allow_private"
            )
            assert outcome.how == "rejected"
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1", "[::1]", "[::ffff:7f00:1]"])  # fmt: skip
def test_loopback_is_known_in_whatever_way_it_is_written(host: str) -> None:
    with receiving() as receiver:
        url = f"http://{host}:{receiver.port}"
        assert refused(send_now(sink(url, allow_private=False), a_note())).how in ("rejected", "failed")  # fmt: skip
    assert receiver.connections == 0


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_addresses_of_ipv6_and_names_of_other_scripts() -> None:
    with Receiver(host="::1") as receiver:
        assert send_now(sink(f"http://[::1]:{receiver.port}/x"), a_note()) == Sent(204)
        assert receiver.hits[0].headers["host"] == f"[::1]:{receiver.port}"
        asked: list[str] = []
        resolver = Resolver(lambda host, port: asked.append(host) or ["::1"])  # type: ignore[func-returns-value]
        url = f"http://bücher.test:{receiver.port}"
        assert send_now(sink(url), a_note(), resolver=resolver) == Sent(204)
        assert asked == ["xn--bcher-kva.test"]
        assert receiver.hits[1].headers["host"] == f"xn--bcher-kva.test:{receiver.port}"


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """Two receivers at one port of two addresses; a second look-up would lead to the other."""
    with receiving() as first, Receiver(host="127.0.0.2", port=first.port) as second:
        changing = Changing(["127.0.0.1"], ["127.0.0.2"])
        url = f"http://rebound.test:{first.port}"
        assert send_now(sink(url), a_note(), resolver=Resolver(changing)) == Sent(204)
        assert (changing.asked, len(first.hits), second.connections) == (1, 1, 0)
        assert first.hits[0].headers["host"] == f"rebound.test:{first.port}"


def test_the_system_itself_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever httpx and asyncio do below: its resolver changes its answer, and we never hear that."""
    asked: list[object] = []
    real = socket.getaddrinfo

    def rebinding(host: object, *more: object, **most: object) -> object:
        asked.append(host)
        there = "127.0.0.1" if len(asked) == 1 else "127.0.0.2"
        return real(there, *more, **most)  # type: ignore[arg-type]

    with receiving() as first, Receiver(host="127.0.0.2", port=first.port) as second:
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        assert send_now(sink(f"http://rebound.test:{first.port}"), a_note()) == Sent(204)
        monkeypatch.undo()
        assert (asked, len(first.hits), second.connections) == (["rebound.test"], 1, 0)


def test_an_answer_that_turns_private_is_refused_the_next_time() -> None:
    with receiving() as receiver:
        changing = Changing(["192.0.2.1", "127.0.0.1"], ["127.0.0.1"])
        for _ in range(2):
            url = f"http://rebound.test:{receiver.port}"
            outcome = send_now(
                sink(url, allow_private=False), a_note(), resolver=Resolver(changing)
            )
            refused(outcome, "127.0.0.1 (loopback)")
    assert receiver.connections == 0


def test_of_several_addresses_only_the_allowed_are_tried() -> None:
    resolver = Resolver(lambda host, port: ["10.0.0.1", "93.184.216.34", "127.0.0.1", "::1"])
    assert resolver.addresses("x", 1, allow_private=False, within=1) == ["93.184.216.34"]


def test_the_next_address_is_tried_where_the_first_is_dead() -> None:
    with receiving() as receiver:
        two = Resolver(lambda host, port: ["127.0.0.3", "127.0.0.1"])
        url = f"http://two.test:{receiver.port}"
        assert send_now(sink(url), a_note(), resolver=two) == Sent(204)
    assert len(receiver.hits) == 1


def test_a_resolver_that_hangs_holds_nobody_up_and_takes_one_thread() -> None:
    release = threading.Event()
    asked: list[str] = []

    def hangs(host: str, port: int) -> list[str]:
        asked.append(host)
        release.wait(30)
        return ["127.0.0.1"]

    resolver = Resolver(hangs)
    began = time.monotonic()
    for _ in range(5):
        outcome = send_now(sink("http://slow.test", timeout=0.1), a_note(), resolver=resolver)
        refused(outcome, "slow.test: the resolver has not answered within 0.1 s")
    assert time.monotonic() - began < 20
    assert asked == ["slow.test"]
    release.set()
    found = resolver.addresses("slow.test", 80, allow_private=True, within=5)
    assert found == ["127.0.0.1"]
    assert resolver._asked == {}


def test_a_name_that_there_is_not() -> None:
    def none(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    outcome = send_now(sink("http://nowhere.test"), a_note(), resolver=Resolver(none))
    assert refused(outcome, "nowhere.test: Name or service not known").how == "failed"
    with pytest.raises(NoAddress):
        Resolver(lambda host, port: []).addresses("x", 1, allow_private=True, within=1)


# --- several requests, and what is left alone ---


def test_pagerduty_events_go_over_one_connection_until_one_is_refused() -> None:
    note = a_note(instances=[Instance(of=f"q{n}", value=1.0, shown="1") for n in range(5)])
    with receiving(r.kept(202)) as receiver:
        assert send_now(sink(receiver.url, "pagerduty"), note) == Sent(202)
    assert (len(receiver.hits), receiver.connections) == (5, 1)
    with receiving(r.kept(202), r.kept(202), r.status(500)) as receiver:
        refused(send_now(sink(receiver.url, "pagerduty"), note), "HTTP 500")
    assert len(receiver.hits) == 3


def test_proxies_and_netrc_of_the_environment_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:  # fmt: skip
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with receiving() as receiver, receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send_now(sink(receiver.url), a_note()) == Sent(204)
    assert proxy.connections == 0
    assert "authorization" not in receiver.hits[0].headers


def test_nothing_is_logged_beside_our_events(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), receiving() as receiver:
        send_now(sink(receiver.url), a_note())
    assert CANARY not in caplog.text


def test_a_user_in_the_url_is_sent_and_never_said() -> None:
    with receiving(r.status(401)) as receiver:
        url = receiver.url.replace("http://", f"http://ops:{CANARY}@")
        refused(send_now(sink(url), a_note()), "HTTP 401")
    assert receiver.hits[0].headers["authorization"].startswith("Basic ")


def test_no_thread_is_left() -> None:
    with receiving() as receiver:
        send_now(sink(receiver.url), a_note())
    eventually(lambda: not [t for t in threading.enumerate() if t.name.startswith("look up")])


def test_old_tls_is_refused(pems: dict[str, Path], trusting: None) -> None:
    assert transfer._trust().minimum_version >= ssl.TLSVersion.TLSv1_2
    assert transfer._trust().check_hostname
