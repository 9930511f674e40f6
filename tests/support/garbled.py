"""A proxy's rule: the answer to a script is another one, as from whatever stands before a server."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chaos.proxy import Proxy, Rule, Wire
from chaos.wire import name_of, read_value

HTTP = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
# What no Redis answers to a script of ours, whatever it is: by name, for test ids.
NONSENSE = {
    "http": HTTP,
    "an error of nobody's": b"-upstream failure\r\n",
    "an error like Redis'": b"-ERR proxy: upstream gone\r\n",
    "null": b"$-1\r\n",
    "a number": b":7\r\n",
    "a word": b"+OK\r\n",
    "a text": b"$5\r\nhello\r\n",
    "nothing": b"*0\r\n",
    "another word": b"*1\r\n$5\r\nhello\r\n",
    "a row of numbers": b"*1\r\n:7\r\n",
    "a row of rows": b"*2\r\n*1\r\n:7\r\n*-1\r\n",
}


class Garble(Rule):
    """The next answers to some scripts are replaced; what was asked for is carried out all the same."""

    def __init__(self) -> None:
        self._told: dict[str, deque[bytes]] = defaultdict(deque)
        self.garbled: Counter[str] = Counter()
        self.url = ""

    def arm(self, name: str, *answers: bytes) -> None:
        """Answer the next calls of this script so."""
        self._told[name].extend(answers)

    def disarm(self) -> None:
        """Replace nothing more."""
        self._told.clear()

    @property
    def is_armed(self) -> bool:
        """Whether some of it has not happened yet."""
        return any(self._told.values())

    def sent(self, wire: Wire, chunk: bytes) -> bool:
        """Remember which answers are to come, in which order."""
        wire.requests += chunk
        at = 0
        while (read := read_value(wire.requests, at)) is not None:
            command, at = read
            wire.unanswered.append(_name(command))
        del wire.requests[:at]
        return super().sent(wire, chunk)

    def answered(self, wire: Wire, chunk: bytes) -> bool:
        """Pass on whole answers, or what is to come in their place."""
        wire.replies += chunk
        at = 0
        while (read := read_value(wire.replies, at)) is not None:
            name = wire.unanswered.popleft() if wire.unanswered else "?"
            answer = bytes(wire.replies[at : read[1]])
            at = read[1]
            if self._told[name] and not answer.startswith(b"-NOSCRIPT"):
                answer = self._told[name].popleft()
                self.garbled[name] += 1
            wire.near.sendall(answer)
        del wire.replies[:at]
        return True


def _name(command: list[bytes]) -> str:
    if command[0].upper() == b"EVAL":
        sha = hashlib.sha1(command[1], usedforsecurity=False).hexdigest()
        command = [b"EVALSHA", sha.encode()]
    return name_of(command)


@contextmanager
def garbling(directory: Path, upstream: str) -> Iterator[Garble]:
    """Put a proxy before a server's unix socket; give its rule."""
    proxy = Proxy(directory, Path(upstream.removeprefix("unix://")))
    rule = proxy.rule = Garble()
    rule.url = proxy.url
    try:
        yield rule
    finally:
        proxy.end()
