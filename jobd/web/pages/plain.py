"""What can be done without scripts: which actions a plain form may send, and what is said of each.

Everything else needs scripts: it shows an answer, or asks for more than a button can say. Pure.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import NamedTuple

from starlette.routing import compile_path

from jobd.web.api.endpoint import Endpoint
from jobd.web.api.routes import PREFIX
from jobd.web.api.table import TABLE

DONE = "done"
"""The parameter of a page's query that says what was just done; see `word_of`."""
SENT_TO = "/act"


class Said(NamedTuple):
    """`done` is said when it is; `asks`, where that is not empty, before. `to` leads on where the page
    that it came from is gone."""

    done: str
    asks: str = ""
    to: tuple[str, ...] = ()


SAID: Mapping[str, Said] = {
    "retry_job": Said("It is back in line."),
    "run_job_now": Said("It runs as soon as a worker is free."),
    "cancel_job": Said(
        "It is cancelled; if it runs, it was told to end.",
        "What waits will not run, unless it is retried. What runs is told to end; by force, its process is ended.",
    ),
    "delete_job": Said(
        "Its record is removed.",
        "Its record is removed, with its data, history and log. This cannot be taken back.",
        ("queues", "{queue}", "jobs"),
    ),
    "pause_queue": Said("It is paused; what runs goes on."),
    "resume_queue": Said("It goes on."),
    "run_schedule": Said("Its job is added."),
    "pause_schedule": Said("It is paused: it fires no more until it is resumed."),
    "resume_schedule": Said("It fires again."),
    "mute_alert": Said("It is muted: it goes on looking, and tells nobody."),
    "unmute_alert": Said("It tells again."),
    "recycle_worker": Said("It is replaced; the old one finishes its jobs."),
    "stop_operation": Said("It stops after the bite that is under way."),
}

PLAIN: tuple[Endpoint, ...] = tuple(each for each in TABLE if each.name in SAID)
_PATHS = [(each.method, compile_path(each.path)[0]) for each in PLAIN]


def plain_path(root: str, method: str, path: str) -> str | None:
    """Give where a form sends what `method` and `path` of the API mean, below `root`; None: scripts alone do it."""
    below = path.removeprefix(root).removeprefix(PREFIX)
    if any(method == each and pattern.match(below) for each, pattern in _PATHS):
        return f"{root}{path_of_form(method, below)}"
    return None


def path_of_form(method: str, path: str) -> str:
    """Give the path, or the pattern of one, that does what the API does by `method` at `path`."""
    return f"{SENT_TO}/{method.lower()}{path}"


def sign(name: str, csrf: str) -> str:
    """Write what was done for the address of a page, as nobody else can write it."""
    made = hmac.digest(csrf.encode(), f"done: {name}".encode(), "sha256")
    return f"{name}.{made.hex()[:16]}"


def word_of(signed: str, csrf: str) -> str:
    """Say what was done; nothing where this is not of our writing."""
    name = signed.partition(".")[0]
    is_ours = hmac.compare_digest(signed.encode("utf-8", "replace"), sign(name, csrf).encode())
    return SAID[name].done if is_ours and name in SAID else ""
