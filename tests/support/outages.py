"""Outages of Redis, each with its beginning and its end, and a daemon that lives through them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from jobd.core.config import QueueConfig
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_views import PageView, Phase
from support.daemons import Daemon, eventually
from support.links import BadLink, Weather
from support.netns import FarServer

QUEUES = ("solo", "threads", "asyncio")
APP = """
import asyncio, time
from jobd import Jobd

app = Jobd()

@app.queue("solo").task()
def on_solo() -> None:
    time.sleep(0.01)

@app.queue("threads").task()
def on_threads() -> None:
    time.sleep(0.01)

@app.queue("asyncio").task()
async def on_asyncio() -> None:
    await asyncio.sleep(0.01)
"""


class Fleet:
    """A daemon with workers of all three executors behind a link. `admin` speaks to the server."""

    def __init__(
        self, top: Path, link: BadLink | FarServer, server_url: str, *, processes: int = 1
    ) -> None:
        self.link: Any = link
        self.admin: Any = redis.Redis.from_url(server_url, protocol=2)
        self.daemon = Daemon(
            top,
            link.url,
            APP,
            queues={
                name: QueueConfig(processes=processes, concurrency=1 if name == "solo" else 4)
                for name in QUEUES
            },
        )
        self._count = processes * len(QUEUES)
        try:
            eventually("all workers have claimed", lambda: self.claiming_since(0.0))
        except BaseException:
            self.end()
            raise

    def pages(self) -> list[PageView]:
        """The pages of the workers that live and have joined."""
        state = self.daemon.state()
        if state is None:
            return []
        alive = {slot.pid for slot in self.daemon.slots()}
        board = Scoreboard.open(self.daemon.runtime / state.scoreboard)
        return [v for v in board.views() if v.pid in alive and v.phase > Phase.BOOTING]

    def workers(self) -> set[str]:
        """The incarnations."""
        return {page.incarnation for page in self.pages()}

    def claiming_since(self, instant: float) -> dict[str, float] | None:
        """When each worker was last answered a claim; None until all were after this instant."""
        asked = {page.incarnation: page.asked for page in self.pages()}
        whole = len(asked) == self._count and all(at > instant for at in asked.values())
        return asked if whole else None

    def suffer(self, outage: Outage, lasts: float | None = None) -> list[float]:
        """Go through an outage; give for each worker the seconds from its end to a claim."""
        ends = outage.begins(self)
        # The span of the fault is what is tested: nothing happens in it that could be awaited.
        time.sleep(outage.lasts if lasts is None else lasts)
        healed_at = ends()
        found = eventually(
            f"claims of all workers after {outage.name}",
            lambda: self.claiming_since(healed_at),
        )
        return [at - healed_at for at in found.values()]

    def end(self) -> None:
        """Leave nothing behind."""
        self.daemon.end()
        self.admin.close()


@dataclass(frozen=True)
class Outage:
    """`begins` does the harm, and gives what heals it; that gives the instant of healing."""

    name: str
    lasts: float
    begins: Callable[[Fleet], Callable[[], float]]


def _weather(weather: Weather) -> Callable[[Fleet], Callable[[], float]]:
    def begin(fleet: Fleet) -> Callable[[], float]:
        fleet.link.become(weather)
        return lambda: fleet.link.become(Weather.FAIR)

    return begin


def _at_once(harm: Callable[[Fleet], object]) -> Callable[[Fleet], Callable[[], float]]:
    def begin(fleet: Fleet) -> Callable[[], float]:
        harm(fleet)
        return time.monotonic

    return begin


def _told(harm: tuple[Any, ...], cure: tuple[Any, ...]) -> Callable[[Fleet], Callable[[], float]]:
    def begin(fleet: Fleet) -> Callable[[], float]:
        fleet.admin.execute_command(*harm)

        def end() -> float:
            fleet.admin.execute_command(*cure)
            return time.monotonic()

        return end

    return begin


def _full(fleet: Fleet) -> Callable[[], float]:
    most = fleet.admin.config_get("maxclients")["maxclients"]
    fleet.admin.config_set("maxclients", 1)
    fleet.admin.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def end() -> float:
        fleet.admin.config_set("maxclients", most)
        return time.monotonic()

    return end


def _paused(fleet: Fleet) -> Callable[[], float]:
    # What writes: all that workers do. With ALL nobody could end it.
    fleet.admin.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")

    def end() -> float:
        fleet.admin.execute_command("CLIENT", "UNPAUSE")
        return time.monotonic()

    return end


def _dropped(fleet: Fleet) -> Callable[[], float]:
    fleet.link.drop()
    heal: Callable[[], float] = fleet.link.heal
    return heal


HOLE = Outage("black hole", 1.5, _weather(Weather.HOLE))
DEAF = Outage("black hole, no SYN answered", 2.2, _weather(Weather.DEAF))
MUTE = Outage("one-way hole", 2.2, _weather(Weather.MUTE))
TRICKLE = Outage("slow trickle", 4.0, _weather(Weather.TRICKLE))
HALF_OPEN = Outage("half-open links", 0.0, _at_once(lambda fleet: fleet.link.forget()))
RESETS = Outage("resets", 0.0, _at_once(lambda fleet: fleet.link.reset()))
REPLICA = Outage(
    "failover to a replica and back", 1.5,
    _told(("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
)  # fmt: skip
KILLED = Outage(
    "CLIENT KILL", 0.0,
    _at_once(lambda fleet: fleet.admin.execute_command("CLIENT", "KILL", "TYPE", "normal")),
)  # fmt: skip
PAUSED = Outage("CLIENT PAUSE", 4.0, _paused)
FULL = Outage("maxclients reached", 1.5, _full)
DROPPED = Outage("every packet dropped", 2.2, _dropped)  # on a FarServer

SHORT = (HOLE, HALF_OPEN, REPLICA)
ALL = (HOLE, DEAF, MUTE, TRICKLE, HALF_OPEN, RESETS, REPLICA, KILLED, PAUSED, FULL)
