"""`jobd top`: what `jobd status` shows, live, until q.

Looking costs a bounded share of time: a large fleet, or a Redis that is far or slow, is looked at less
often. A server that does not answer holds up the keys for a second, and is asked again after ten.
"""

from __future__ import annotations

import os

import click

from jobd.cli import in_force, picture_lines
from jobd.cli.options import config_option, runtime_option, url_option
from jobd.cli.picture import Looker, Picture, Store
from jobd.cli.rates import Rates
from jobd.cli.top_frame import KEYS, View, frame
from jobd.cli.wanted import bare
from jobd.core.durations import seconds
from jobd.core.errors import EX_USAGE
from jobd.seams import clock
from jobd.seams.screen import Ended, Screen, is_terminal

# Of the time that passes, so much at the most goes into looking.
_SHARE = 0.05
_SELDOM = 10.0
_TIMEOUT = 1.0
_PATIENCE = 0.3


@click.command("top")
@click.option(
    "-d", "--delay", default="1s", show_default=True, metavar="DURATION", help="Look so often."
)
@config_option
@url_option
@runtime_option
def command(
    delay: str, config_file: str | None, redis_url: str | None, runtime_dir: str | None
) -> int:
    """Show the daemon, its workers, the other hosts and the queues, live.

    q quits; s, t, m, p and r sort the workers by slot, time of the running job, memory, pace and
    restarts; a shows the workers of all hosts; j, k and the arrows scroll. Needs a terminal.
    """
    every = max(0.1, seconds(bare(delay), what="--delay"))
    if not is_terminal():
        click.echo(
            "jobd top: no terminal; expected one; use `jobd status`, or its --json", err=True
        )
        return EX_USAGE
    found = in_force.find(config_file, url=redis_url, runtime_dir=runtime_dir)
    looker = Looker(found, timeout=_TIMEOUT)
    with Screen() as screen:
        try:
            Top(screen, looker, every).run()
        except Ended:
            return 0
    return 0


class Top:
    """The live view: look, draw, hear keys, again and again."""

    def __init__(self, screen: Screen, looker: Looker, every: float) -> None:
        self._screen = screen
        self._looker = looker
        self._every = every
        self._rates = Rates()
        self._view = View(colour="NO_COLOR" not in os.environ)
        self._picture: Picture | None = None
        self._store = Store()
        self._said_at: dict[str, float] = {}
        self._furthest = 0
        self._look_at = 0.0
        self._store_at = 0.0

    def run(self) -> None:
        """Go on until somebody wants to leave. Raises Ended."""
        while True:
            now = clock.mono()
            if now >= self._look_at:
                self._look_at = max(now + self._every, _next(self._look()))
            self._draw()
            if self._obey(self._screen.key(within=self._look_at - clock.mono())):
                return

    def _look(self) -> float:
        """Look at all; give for how long this host's part took."""
        began = clock.mono()
        daemon, unreadable = self._looker.daemon(patience=_PATIENCE)
        took = clock.mono() - began
        if began >= self._store_at:
            asked = clock.mono()
            self._store = self._looker.store()
            self._store_at = _next(clock.mono() - asked)
            self._said_at = {
                host.daemon.nonce: asked - host.silent_for
                for host in self._store.hosts
                if host.daemon is not None
            }
        self._picture = self._looker.picture(daemon, unreadable, self._store)
        self._note_rates(self._picture, began)
        return took

    def _note_rates(self, picture: Picture, now: float) -> None:
        seen = set()
        for daemon in picture_lines.daemons(picture):
            at = now if daemon is picture.daemon else self._said_at.get(daemon.nonce, now)
            for worker in daemon.workers:
                if worker.incarnation is not None:
                    seen.add(worker.incarnation)
                    self._rates.note(worker.incarnation, worker.queue, worker.settled, at)
        self._rates.forget_all_but(seen)

    def _draw(self) -> None:
        if self._picture is None:
            return
        drawn = frame(
            self._picture,
            self._view,
            self._screen.size(),
            clock=clock.utc().astimezone().strftime("%H:%M:%S"),
            rates=self._rates.by_worker(),
            queue_rates=self._rates.by_queue(),
        )
        self._furthest = drawn.furthest
        self._screen.draw(drawn.lines)

    def _obey(self, key: str) -> bool:
        """Do what a key says; True to leave."""
        view, page = self._view, max(1, self._screen.size()[1] // 2)
        moves = {
            "j": 1, "down": 1, "k": -1, "up": -1, "page-down": page, "page-up": -page,
            "home": -(1 << 30), "end": 1 << 30,
        }  # fmt: skip
        if key in ("q", "Q", "ctrl-c", "esc"):
            return True
        if key == "ctrl-z":
            self._screen.suspend()
        elif key in (" ", "ctrl-l"):
            self._look_at = 0.0
        elif key == "a":
            self._view = view._replace(everywhere=not view.everywhere, scroll=0)
        elif key in KEYS:
            self._view = view._replace(order=KEYS[key], scroll=0)
        elif key in moves:
            scroll = min(max(0, view.scroll + moves[key]), self._furthest)
            self._view = view._replace(scroll=scroll)
        return False


def _next(took: float) -> float:
    """Say when to look again at what took so long to look at."""
    return clock.mono() + min(took / _SHARE, _SELDOM)
