"""The user of Django's session, seen from an application that is served beside Django.

Invariant: reads and changes nothing: a session goes on as it is, for Django to judge. Django is imported when it
is called, so that nobody else needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from starlette.requests import HTTPConnection


def django_user(request: HTTPConnection) -> Any:
    """Give the user who is logged in by Django's session cookie; None where there is none. Blocks."""
    settings = import_module("django.conf").settings
    key = request.cookies.get(settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    store = import_module(settings.SESSION_ENGINE).SessionStore(key)
    # Django would renew or end the session here, and the browser would never hear of its new key.
    store.cycle_key = store.flush = lambda: None
    asked = import_module("django.http").HttpRequest()
    asked.session = store
    try:
        user = import_module("django.contrib.auth").get_user(asked)
        return user if user.is_authenticated else None
    finally:
        _let_go()


def _let_go() -> None:
    """Close what this thread has opened: Django does so where it serves requests, and not here."""
    for connection in import_module("django.db").connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
