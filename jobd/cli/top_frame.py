"""One frame of `jobd top`: a picture, an order and a size go in, lines of text come out.

Pure, so that it can be looked at without a terminal. The frame is never higher or wider than asked;
what does not fit of the workers is scrolled to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from jobd.cli import picture_lines as lines
from jobd.cli.picture import Picture
from jobd.cli.picture_lines import Line, Place
from jobd.cli.table import cropped
from jobd.core.portrait import Worker

Order = Literal["slot", "time", "memory", "rate", "restarts"]
KEYS: dict[str, Order] = {"s": "slot", "t": "time", "m": "memory", "p": "rate", "r": "restarts"}

_SGR = {"head": "1", "bad": "31", "warn": "33", "dim": "2"}
_HELP = "q quit  sort: s slot  t time  m memory  p pace  r restarts  a all hosts  j/k scroll"
_HELP_SHORT = "q quit  s/t/m/p/r sort  a hosts  j/k"
_HELP_SHORTEST = "q quit"


# So many lines of workers at least, before what stands above them.
_LEAST = 4


class View(NamedTuple):
    """What the person at the keys has chosen."""

    order: Order = "slot"
    everywhere: bool = False
    scroll: int = 0
    colour: bool = True


class Frame(NamedTuple):
    """The lines to draw, and how far the workers can be scrolled."""

    lines: list[str]
    furthest: int


def frame(
    picture: Picture,
    view: View,
    size: tuple[int, int],
    *,
    clock: str,
    rates: Mapping[str, float],
    queue_rates: Mapping[str, float],
) -> Frame:
    """Lay out one frame."""
    columns, rows = size
    found = ordered(lines.places(picture, everywhere=view.everywhere), view.order, rates)
    below = lines.worker_lines(found, columns, rates=rates)
    head, body = below[:2], below[2:]
    above = _above(picture, view, columns, clock, queue_rates)
    # On a low terminal what stands above gives way, the last first, to what moves.
    while len(above) > 1 and rows - 1 - len(head) - sum(map(len, above)) < min(_LEAST, len(body)):
        above.pop()
    upper = [line for part in above for line in part]
    room = rows - 1 - len(upper) - len(head)
    furthest = max(0, len(body) - max(0, room))
    first = min(view.scroll, furthest)
    shown = [*upper, *head, *body[first : first + max(0, room)]][: rows - 1]
    shown += [Line("")] * (rows - 1 - len(shown))
    fitting = [line._replace(text=cropped(line.text, columns)) for line in (*shown, _foot(columns))]
    return Frame([_paint(line, view.colour) for line in fitting], furthest)


def _above(
    picture: Picture, view: View, columns: int, clock: str, queue_rates: Mapping[str, float]
) -> list[list[Line]]:
    """Give the parts that stand above the workers, the one that matters most first."""
    everywhere = view.everywhere or picture.ours is None
    return [
        [_title(picture, columns, clock, queue_rates)],
        lines.daemon_lines(picture, columns),
        lines.store_lines(picture.store, picture.url, columns),
        lines.queue_lines(picture, columns, rates=queue_rates),
        lines.host_lines(picture, columns) if everywhere else [],
    ]


def ordered(found: list[Place], order: Order, rates: Mapping[str, float]) -> list[Place]:
    """Put workers in an order; those that have nothing of what counts come last, by slot."""
    value = _VALUES[order]

    def key(place: Place) -> tuple[float, tuple[str, int], str]:
        return -value(place.worker, rates), _slot(place.worker), place.host

    return sorted(found, key=key)


_VALUES: dict[Order, Callable[[Worker, Mapping[str, float]], float]] = {
    "slot": lambda _worker, _rates: 0.0,
    "time": lambda worker, _rates: -1.0 if worker.running_for is None else worker.running_for,
    "memory": lambda worker, _rates: worker.memory or 0,
    "rate": lambda worker, rates: rates.get(worker.incarnation or "", 0.0),
    "restarts": lambda worker, _rates: worker.restarts,
}


def _slot(worker: Worker) -> tuple[str, int]:
    number = worker.slot.rpartition(".")[2]
    return worker.queue, int(number) if number.isdecimal() else 0


def _title(picture: Picture, columns: int, clock: str, rates: Mapping[str, float]) -> Line:
    everybody = lines.daemons(picture)
    there = [worker for daemon in everybody for worker in daemon.workers if worker.pid is not None]
    wanted = sum(view.wanted for daemon in everybody for view in daemon.queues.values())
    workers = f"{len(there)} of {wanted}" if len(there) < wanted else str(len(there))
    busy = sum(worker.running > 0 for worker in there)
    hosts = f"{len(everybody)} hosts  " if len(everybody) > 1 else ""
    text = f"jobd top  {clock}  {hosts}{workers} workers, {busy} busy  {sum(rates.values()):.0f} jobs/s"
    return Line(cropped(text, columns), "head")


def _foot(columns: int) -> Line:
    for text in (_HELP, _HELP_SHORT, _HELP_SHORTEST):
        if len(text) <= columns:
            return Line(text, "dim")
    return Line("")


def _paint(line: Line, colour: bool) -> str:
    code = _SGR.get(line.style) if colour else None
    return line.text if code is None else f"\x1b[{code}m{line.text}\x1b[0m"
