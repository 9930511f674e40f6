"""Building all of it from the configuration."""

from __future__ import annotations

from typing import NamedTuple

from jobd.broker.connection import Client
from jobd.broker.logins import Tries
from jobd.broker.sessions import Sessions
from jobd.core.config import WebConfig
from jobd.seams.log import Emit
from jobd.web.auth.auth import Auth
from jobd.web.auth.login import Login
from jobd.web.threads import Threads


class Gatekeeping(NamedTuple):
    """Who judges requests, and the routes of logging in and out."""

    auth: Auth
    login: Login


def make_auth(
    web: WebConfig, client: Client, namespace: str, *, emit: Emit, threads: Threads
) -> Gatekeeping | None:
    """Make it; None when no [web.dashboard] says whom to serve: then serve neither that nor the API."""
    config = web.dashboard
    if config is None:
        return None
    longest = round(config.session_longest * 1000)
    idle = min(longest, round(config.session_idle * 1000))
    sessions = Sessions(client, namespace, idle_ms=idle, longest_ms=longest)
    auth = Auth(config, sessions, namespace, emit=emit)
    return Gatekeeping(auth, Login(auth, Tries(client, namespace), threads))
