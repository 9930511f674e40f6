"""TLS: a real server, every kind of client, and every certificate that must be refused."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import tls
from support.daemons import Daemon, eventually
from support.sentinels import plain_server, service
from support.tls import Authority, encrypted_server

from jobd import Jobd
from jobd.broker.access_facts import access_facts
from jobd.broker.connection import connect
from jobd.broker.sentinel_facts import sentinel_facts
from jobd.cli import settings
from jobd.core.config import QueueConfig
from jobd.core.errors import BrokerError, BrokerUnavailable, ConfigError, StoreUnusable

LACKING = tls.lacking()
pytestmark = pytest.mark.skipif(LACKING is not None, reason=str(LACKING))
APP = """
from jobd import Jobd
app = Jobd()
q = app.queue("q")

@q.task()
def double(n: int) -> int:
    return 2 * n
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def client_pair(authority: Authority) -> tuple[Path, Path]:
    return authority.sign("client")


@pytest.fixture(scope="module")
def place(authority: Authority) -> Iterator[str]:
    """A server that asks its clients for certificates, too."""
    with encrypted_server(authority, authority.sign("server"), clients="yes") as place:
        yield place


@pytest.fixture(scope="module")
def url(authority: Authority, place: str, client_pair: tuple[Path, Path]) -> str:
    certificate, key = client_pair
    return (
        f"rediss://{place}/0?ssl_ca_certs={authority.certificate}"
        f"&ssl_certfile={certificate}&ssl_keyfile={key}&ssl_min_version=TLSv1.2"
    )


async def added_async(app: Jobd) -> object:
    try:
        handle = await app.queue("q").aadd("double", {"n": 3})
        return await handle.aresult(timeout="10s")
    finally:
        await app.producer.async_client.aclose()


@pytest.mark.process
def test_everything_works_over_tls(url: str, tmp_path: Path) -> None:
    """Producer in a thread and on a loop, waiting for results, worker, keeper, command line."""
    app = Jobd(url)
    queue = app.queue("q")
    daemon = Daemon(tmp_path, url, APP, queues={"q": QueueConfig()})
    try:
        handle = queue.add("double", {"n": 2})
        assert handle.result(timeout="15s") == 4
        assert asyncio.run(added_async(app)) == 6
        eventually("a keeper's word", lambda: connect(url).hlen("jobd:hosts"))
        ran = subprocess.run(
            [sys.executable, "-m", "jobd", "queues", "list", "--redis-url", url],
            cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        assert ran.returncode == 0
        assert "q" in ran.stdout
    finally:
        daemon.end()
    assert "broker.lost" not in daemon.text()


def test_a_link_stays_open_between_calls(url: str) -> None:
    """What TLS itself sends (session tickets) is no sign of a broken link."""
    watcher = connect(url)
    queue = Jobd(url).queue("many")
    queue.add("t", {})
    before = watcher.info("stats")["total_connections_received"]
    for _ in range(20):
        queue.add("t", {})

    assert watcher.info("stats")["total_connections_received"] == before
    watcher.close()


def said(url: str, kind: type[BrokerError] = StoreUnusable) -> str:
    """Give what a producer is told, in a thread and on a loop."""
    app = Jobd(url)
    with pytest.raises(kind) as refused:
        app.queue("q").add("t", {})
    with pytest.raises(kind) as refused_async:
        asyncio.run(added_async(app))
    word = str(refused.value).partition(";")[0].rpartition(": ")[2]
    # A server that hangs up is seen while writing or while reading.
    assert any(each in str(refused_async.value) for each in (word, "Connection lost"))
    return str(refused.value)


def test_a_server_that_cannot_be_trusted_is_refused(authority: Authority, place: str) -> None:
    """One of an authority we do not know, of another name, of yesterday; unless that is wanted."""
    known = f"ssl_ca_certs={authority.certificate}"
    text = said(f"rediss://{place}/0")
    assert f"{place}: its certificate is refused: self-signed certificate" in text
    assert "name that with ?ssl_ca_certs=/path/ca.pem" in text

    with encrypted_server(authority, authority.sign("other", names="DNS:redis.example")) as other:
        text = said(f"rediss://{other}/0?{known}")
        assert "IP address mismatch, certificate is not valid for '127.0.0.1'" in text
        for trusting in (f"{known}&ssl_check_hostname=no", "ssl_cert_reqs=none"):
            assert Jobd(f"rediss://{other}/0?{trusting}").queue("q").add("t", {}).id

    with encrypted_server(authority, authority.sign("old", days=-1)) as old:
        assert "its certificate is refused: certificate has expired" in said(
            f"rediss://{old}/0?{known}"
        )


def test_a_server_that_does_not_trust_us_is_named(authority: Authority, place: str) -> None:
    """It asks for a certificate, and we have none: it says so, or just hangs up."""
    app = Jobd(f"rediss://{place}/0?ssl_ca_certs={authority.certificate}")
    for add in (lambda: app.queue("q").add("t", {}), lambda: asyncio.run(added_async(app))):
        with pytest.raises((StoreUnusable, BrokerUnavailable)) as refused:
            add()
        assert place in str(refused.value)
        assert "?ssl_certfile=" in str(refused.value)


def test_tls_and_none_do_not_meet(authority: Authority, place: str, tmp_path: Path) -> None:
    """Either way round it is said."""
    with plain_server(
        tmp_path
    ) as port:  # it takes a handshake for a command, and waits for its end
        app = Jobd(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.certificate}", timeout=0.5)
        with pytest.raises(BrokerUnavailable, match="does not answer in TLS"):
            app.queue("q").add("t", {})

    assert place in said(f"redis://{place}/0", BrokerUnavailable)


def test_files_are_looked_at_when_the_configuration_is_read(
    tmp_path: Path, client_pair: tuple[Path, Path]
) -> None:
    """All of them at once: each is named with what is wrong."""
    (tmp_path / "text").write_text("no certificate")
    url = (
        f"rediss://h/0?ssl_ca_certs={tmp_path}/none&ssl_certfile={tmp_path}/text"
        f"&ssl_keyfile={client_pair[1]}&ssl_ca_path={tmp_path}/away"
    )
    with pytest.raises(ConfigError) as refused:
        settings.read(None, url=url)

    assert [problem.partition(";")[0] for problem in refused.value.problems] == [
        f"--redis-url: ssl_ca_certs: {tmp_path}/none: No such file or directory",
        f"--redis-url: ssl_certfile: {tmp_path}/text: not PEM",
        f"--redis-url: ssl_ca_path: {tmp_path}/away: no such directory",
    ]


def test_what_does_not_go_together_is_refused_when_a_client_is_made(
    authority: Authority, client_pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Another certificate's key; a key whose password is not given, or wrong: nobody is asked for it."""
    certificate, key = client_pair
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "ec", "-in", str(key), "-out", str(locked), "-aes256", "-passout", "pass:right"],
        check=True, capture_output=True,
    )  # fmt: skip
    url = f"rediss://h/0?ssl_certfile={certificate}&ssl_keyfile="
    connect(f"{url}{locked}&ssl_password=right").close()
    for wrong in (authority.directory / "ca.key", locked, f"{locked}&ssl_password=wrong"):
        with pytest.raises(
            ConfigError, match=r"redis.url: ssl_certfile: .*; see that certificate and"
        ):
            connect(f"{url}{wrong}")
    with pytest.raises(ConfigError, match=r"redis.url: ssl_ciphers: "):
        connect("rediss://h/0?ssl_ciphers=nonsense")


@pytest.mark.chaos
def test_sentinels_and_servers_over_tls(authority: Authority, tmp_path: Path) -> None:
    """Found, failed over, and seen by the doctor; sentinels and servers ask for our certificate."""
    pair = authority.sign("all")
    with service(tmp_path, replicas=1, tls=(authority.certificate, *pair)) as trio:
        app = Jobd(trio.url)
        assert app.queue("q").add("t", {}).outcome == "enqueued"
        client = connect(trio.url)
        assert client.info()["tcp_port"] == trio.primary()
        facts = sentinel_facts(client, replicas_wanted=1)
        assert facts is not None
        assert (facts.silent, facts.sentinels, facts.replicas) == ((), 3, 1)
        days = access_facts(client).certificate_days
        assert days is not None
        assert 28 < days < 31
        old = trio.primary()
        trio.kill(old)
        trio.promoted(old)

        def added() -> bool:
            try:
                return app.queue("q").add("t", {}).outcome == "enqueued"
            except BrokerUnavailable:
                return False

        eventually("a job", added)
        with pytest.raises((BrokerUnavailable, StoreUnusable)):
            Jobd(trio.url.partition("?")[0]).queue("q").add("t", {})
        client.close()
