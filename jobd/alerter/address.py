"""From a name to the addresses that may be spoken to: looked up once, with a bound, and checked.

Invariant: the look-up of a name never holds anybody up for longer than asked, though the resolver of the
system may hang for half a minute; and what is given back has been checked, so that whoever connects to
it, and to nothing else, cannot be led elsewhere by a second answer (DNS rebinding).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from jobd.core.alerts.addresses import why_refused

# More are not tried: a name with a dozen addresses would make many small time-outs.
MOST_ADDRESSES = 4

Lookup = Callable[[str, int], list[str]]


class NoAddress(Exception):
    """There is no address to speak to. `is_forbidden`: there are some, and none is allowed."""

    def __init__(self, why: str, *, is_forbidden: bool = False) -> None:
        super().__init__(why)
        self.is_forbidden = is_forbidden


def ask_system(host: str, port: int) -> list[str]:
    """Look a name up as this system does. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Question:
    """One look-up under way, in a thread of its own, which may hang."""

    def __init__(self, lookup: Lookup, host: str, port: int) -> None:
        self.done = threading.Event()
        self.found: list[str] = []
        self.error: OSError | UnicodeError | None = None
        self._lookup, self._host, self._port = lookup, host, port
        # A daemon thread: what hangs in the C library cannot be ended, and must not keep us from ending.
        threading.Thread(target=self._run, name=f"look up {host}", daemon=True).start()

    def _run(self) -> None:
        try:
            self.found = self._lookup(self._host, self._port)
        except (OSError, UnicodeError) as error:
            self.error = error
        finally:
            self.done.set()


class Resolver:
    """Looks names up. Whoever asks for a name that is being looked up waits for that answer, so there
    is one thread for each name at most, however long the system's resolver hangs."""

    def __init__(self, lookup: Lookup = ask_system) -> None:
        self._lookup = lookup
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, int], _Question] = {}

    def addresses(self, host: str, port: int, *, allow_private: bool, within: float) -> list[str]:
        """Give the addresses of `host` that may be spoken to; waits at most `within` seconds.

        Raises NoAddress.
        """
        found = self._find(host, port, within)
        refused = {each: why_refused(each, allow_private=allow_private) for each in found}
        allowed = [each for each, why in refused.items() if why is None]
        if not allowed:
            named = ", ".join(f"{each} ({why})" for each, why in refused.items())
            # Only what that would open: metadata, multicast and the like stay shut.
            opens = any(why_refused(each, allow_private=True) is None for each in found)
            more = ", or, where that is meant, set allow_private = true" if opens else ""
            raise NoAddress(
                f"{host}: {named}; expected a public address; correct the url{more}",
                is_forbidden=True,
            )
        return allowed[:MOST_ADDRESSES]

    def _find(self, host: str, port: int, within: float) -> list[str]:
        with self._lock:
            question = self._asked.get((host, port))
            if question is None:
                question = self._asked[host, port] = _Question(self._lookup, host, port)
        answered = question.done.wait(within)
        if answered:
            with self._lock:
                if self._asked.get((host, port)) is question:
                    del self._asked[host, port]
        if not answered:
            raise NoAddress(
                f"{host}: the resolver has not answered within {within:g} s; see /etc/resolv.conf"
            )
        if question.error is not None or not question.found:
            why = getattr(question.error, "strerror", None) or "no such name"
            raise NoAddress(
                f"{host}: {why}; expected a name that can be looked up; correct the url"
            )
        return question.found
