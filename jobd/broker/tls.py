"""TLS to a server: one context for all connections of a client.

redis-py makes a context for each connection and reads every authority of the system for it: a tenth of
a second, and megabytes. Here it is made once, before workers are forked, and where the address names an
authority (ssl_ca_certs, ssl_ca_path), no other is trusted.
"""

from __future__ import annotations

import ssl
from typing import Any

from redis.asyncio.connection import SSLConnection as AsyncSSLConnection
from redis.connection import SSLConnection
from redis.exceptions import ConnectionError  # noqa: A004  redis-py's name for it

from jobd.broker.prompt import LEAST_RATE, Prompt
from jobd.broker.prompt_async import Prompt as AsyncPrompt
from jobd.core.errors import BrokerError, BrokerUnavailable, ConfigError
from jobd.core.redis_urls import TlsOptions
from jobd.seams.clock import monotonic

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {
    "required": ssl.CERT_REQUIRED,
    "optional": ssl.CERT_OPTIONAL,
    "none": ssl.CERT_NONE,
}


class _Socket(ssl.SSLSocket):
    """Sends all in the socket's time-out, and what it takes at the least rate.

    Python's own takes the time-out for every 16 KiB.
    """

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all. Raises TimeoutError."""
        whole = self.gettimeout()
        sent, size = self.send(data, flags), len(data)
        if sent == size or whole is None:
            return super().sendall(memoryview(data)[sent:], flags)
        until = monotonic() + whole + size / LEAST_RATE
        try:
            while sent < size:
                self.settimeout(max(0.001, until - monotonic()))
                sent += self.send(memoryview(data)[sent:], flags)
        finally:
            self.settimeout(whole)


def context_of(options: TlsOptions) -> ssl.SSLContext:
    """Make the context an address asks for. Raises ConfigError for what cannot be used together."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.sslsocket_class = _Socket
    made.minimum_version = _VERSIONS[options.min_version or "TLSv1.2"]
    made.check_hostname = options.check_hostname and options.cert_reqs != "none"
    made.verify_mode = _VERIFY[options.cert_reqs]
    what = "ssl_ca_certs"
    try:
        if options.ca_certs is not None or options.ca_path is not None:
            made.load_verify_locations(cafile=options.ca_certs, capath=options.ca_path)
        elif options.cert_reqs != "none":
            made.load_default_certs()
        what = "ssl_certfile"
        if options.certfile is not None:
            # A function, since OpenSSL else asks at the terminal for the password of an encrypted key.
            made.load_cert_chain(options.certfile, options.keyfile, lambda: options.password or "")
        what = "ssl_ciphers"
        if options.ciphers is not None:
            made.set_ciphers(options.ciphers)
    except (ssl.SSLError, OSError) as error:
        said = getattr(error, "reason", None) or error.strerror or str(error)
        raise ConfigError(
            f"redis.url: {what}: {said}; expected what OpenSSL can use; see that certificate and key "
            "belong together, and that ssl_password is right where the key is encrypted"
        ) from error
    return made


def hung_up(error: ConnectionError, *, place: str, has_certificate: bool) -> BrokerError | None:
    """Say what it may mean that a server hangs up after the handshake; None where it means no more."""
    if type(error) is not ConnectionError or has_certificate:  # of its kinds each says what it is
        return None
    return BrokerUnavailable(
        f"redis: {place} hung up after the TLS handshake: {str(error).rstrip('.')}; expected an answer; if it "
        "asks for a certificate of ours, name it with ?ssl_certfile=/path/client.pem&ssl_keyfile="
        "/path/client.key in redis.url, else see its log"
    )


class TlsConnection(Prompt, SSLConnection):
    """A connection that is given its context."""

    def __init__(self, *, context: ssl.SSLContext, has_certificate: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._context = context
        self._has_certificate = has_certificate

    def _wrap_socket_with_ssl(self, sock: Any) -> ssl.SSLSocket:
        sock.settimeout(self.left())
        made = self._context.wrap_socket(sock, server_hostname=self.host)
        made.settimeout(self.socket_timeout)
        return made

    def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves: where a server minds who we are, it says so, or hangs up, by now."""
        try:
            super().on_connect_check_health(check_health=check_health)
        except ConnectionError as error:
            self.disconnect()  # type: ignore[no-untyped-call]
            place, has_one = f"{self.host}:{self.port}", self._has_certificate
            if meant := hung_up(error, place=place, has_certificate=has_one):
                raise meant from error
            raise


class AsyncTlsConnection(AsyncPrompt, AsyncSSLConnection):
    """A connection of an event loop that is given its context."""

    def __init__(self, *, context: ssl.SSLContext, has_certificate: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self.ssl_context.context = context
        self._has_certificate = has_certificate

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        """Introduce ourselves, in the same way."""
        try:
            await super().on_connect_check_health(check_health=check_health)
        except ConnectionError as error:
            await self.disconnect(nowait=True)
            place, has_one = f"{self.host}:{self.port}", self._has_certificate
            if meant := hung_up(error, place=place, has_certificate=has_one):
                raise meant from error
            raise
