"""Requests out, one answer back: the only place that speaks to the world beside Redis.

Invariant: nothing lasts longer than it was allowed to, however the other side behaves, since a bound for
the whole lies over those of httpx for each step; the connection goes to an address that was checked, and
its certificate is that of the name; no redirect is followed, no proxy of the environment is used; and
nothing of an address but scheme and host, and nothing that was sent or received, gets into an error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import httpx

from jobd.alerter.address import NoAddress, Resolver
from jobd.alerter.sinks.post import Post, shown
from jobd.core.alerts.delivery import LONGEST_TIMEOUT
from jobd.core.alerts.sending import Refused, Sent, judge
from jobd.core.durations import words
from jobd.seams.clock import mono, wall

# A name is looked up for no longer than this.
_LOOK_UP = 5.0
# An answer says all in its status. What comes after it is read so far, so that the other side is not
# cut off in the middle of an ordinary answer.
_MOST_READ = 64 * 1024
_READ_FOR = 1.0
_HIGHEST_PORT = 65535
# A name, in the form it is looked up in, or an address. httpx escapes what is neither.
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")

# httpx logs whole addresses, at level info. Nobody listens here; nobody should begin to.
logging.getLogger("httpx").setLevel(logging.WARNING)


def carry(
    posts: Sequence[Post],
    *,
    resolver: Resolver,
    allow_private: bool,
    timeout: float,
    now: Callable[[], float] = wall,
) -> Sent | Refused:
    """Send requests to one receiver, one after another, until one is refused. Blocking; any thread.

    `timeout` bounds each of them, from the look-up of the name on, in seconds; LONGEST_TIMEOUT all of them.
    """
    timeout = min(timeout, LONGEST_TIMEOUT)
    began = mono()
    try:
        url = httpx.URL(posts[0].url)
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, UnicodeError):
        host = ""
    is_usable = _HOST.fullmatch(host) and (url.port or 0) <= _HIGHEST_PORT
    if not is_usable or url.scheme not in ("http", "https"):
        return Refused("url: it cannot be read; expected https://host/path; correct it", "rejected")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        addresses = resolver.addresses(
            host, port, allow_private=allow_private, within=min(_LOOK_UP, timeout)
        )
    except NoAddress as none:
        return Refused(str(none), "rejected" if none.is_forbidden else "failed")
    left = min(timeout * len(posts), LONGEST_TIMEOUT) - (mono() - began)
    errand = _Errand(posts, url, addresses, timeout=timeout, now=now)
    return asyncio.run(errand.run(max(0.1, left)))


@cache
def _trust() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE; where there are none, httpx's own."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile or paths.capath:
        made = ssl.create_default_context()
    else:
        made = httpx.create_ssl_context(trust_env=False)
    # Said by us: distributions build Pythons that leave it to OpenSSL's configuration.
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


class _Errand:
    """The requests to one receiver, and the addresses it may be at."""

    def __init__(
        self,
        posts: Sequence[Post],
        url: httpx.URL,
        addresses: list[str],
        *,
        timeout: float,
        now: Callable[[], float],
    ) -> None:
        self._posts = posts
        self._url = url
        self._addresses = addresses
        self._timeout = timeout
        self._now = now
        self._to = shown(str(url))

    async def run(self, left: float) -> Sent | Refused:
        """Try one address after the other; `left` seconds are left for all."""
        end = asyncio.get_running_loop().time() + left
        outcome: Sent | Refused = Refused("there was no time left to try")
        # For each of TCP and TLS. Shorter than the whole: httpx closes a connection that it gave up by
        # itself, not one that was still being made when the bound of the whole cut in.
        connect = 0.45 * min(left, self._timeout) / len(self._addresses)
        async with httpx.AsyncClient(
            verify=_trust() if self._url.scheme == "https" else False,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self._timeout, connect=connect),
        ) as client:
            for address in self._addresses:
                try:
                    outcome = await self._all(client, address, end)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    # Nothing was sent: another address may do.
                    outcome = Refused(self._why(error))
                except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
                    return Refused(self._why(error))
                else:
                    return outcome
        return outcome

    async def _all(self, client: httpx.AsyncClient, address: str, end: float) -> Sent | Refused:
        outcome: Sent | Refused = Refused("there was nothing to send")
        for post in self._posts:
            outcome = await self._one(client, post, address, end)
            if isinstance(outcome, Refused):
                break
        return outcome

    async def _one(
        self, client: httpx.AsyncClient, post: Post, address: str, end: float
    ) -> Sent | Refused:
        request = client.build_request(
            post.method,
            self._url.copy_with(host=address),
            headers=[
                ("host", self._url.netloc.decode("ascii")),
                ("accept-encoding", "identity"),
                *post.headers,
            ],
            content=post.body,
            extensions={"sni_hostname": self._url.raw_host.decode("ascii")},
        )
        async with asyncio.timeout_at(end):
            response = await client.send(request, stream=True)
        with suppress(httpx.HTTPError, TimeoutError):  # the status has come: that is the answer
            async with asyncio.timeout(_READ_FOR):
                await _read_some(response)
        await response.aclose()
        location = response.headers.get("location")
        return judge(
            response.status_code,
            retry_after=response.headers.get("retry-after"),
            date=response.headers.get("date"),
            location=shown(location) if location and "://" in location else None,
            now=self._now(),
        )

    def _why(self, error: Exception) -> str:
        """Say what went wrong in our words: httpx's may hold the address."""
        waited = words(self._timeout)
        match error:
            case httpx.ConnectTimeout():
                return f"{self._to} cannot be reached within {waited}; see the network, and the url"
            case httpx.TimeoutException() | TimeoutError():
                return f"{self._to} has not answered within {waited}; see the receiver, or raise the sink's timeout"
            case httpx.ConnectError():
                return f"{self._to} {_what_stopped(error)}"
            case httpx.RemoteProtocolError():
                return f"{self._to} has broken off, or does not speak HTTP; see the receiver, and the url"
            case httpx.InvalidURL():
                return "url: it cannot be read; expected https://host/path; correct it"
        return f"{self._to}: the connection was broken ({type(error).__name__}); see the receiver"


async def _read_some(response: httpx.Response) -> None:
    read = 0
    async for piece in response.aiter_raw():
        read += len(piece)
        if read > _MOST_READ:
            break


def _what_stopped(error: BaseException) -> str:
    """Say why no connection came about: the certificate, or the system's word."""
    link: BaseException | None = error
    word = "no connection"
    while link is not None:
        match link:
            case ssl.SSLCertVerificationError():
                return f"has a certificate we do not trust: {link.verify_message}; expected a valid one of that name"
            case ssl.SSLError():
                return f"speaks no TLS that we understand: {link.reason}"
            case OSError() if link.errno:
                word = os.strerror(link.errno)  # asyncio writes the address in its place
        link = link.__cause__ or link.__context__
    return f"cannot be reached: {word}; see the receiver, and the url"
