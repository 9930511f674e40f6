"""Logging in and out: POST /login and /logout.

Invariant: the order is place, sender, try charged, password, session; so whatever floods it costs a
round trip to Redis, and a hash only as often as tries allow, and one at a time. Forms are answered by
leading on (303), everything else in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from jobd.broker.logins import Tries
from jobd.core.errors import BrokerError
from jobd.core.passwords import LONGEST_PASSWORD
from jobd.core.peers import neighbourhood
from jobd.web.auth.auth import Auth
from jobd.web.auth.cookie import csrf_of, new_token
from jobd.web.auth.forms import FORM, fields, kind_of, whole
from jobd.web.auth.guard import guard, who_of
from jobd.web.auth.places import check_sender
from jobd.web.auth.refused import BadLogin, Busy, Refused, TooManyTries, WrongPassword, problem
from jobd.web.auth.seen import Seen
from jobd.web.auth.users import User
from jobd.web.auth.whoami import session_routes
from jobd.web.below import inside, root_of
from jobd.web.threads import Crowded, Threads, TooLate

_HASHES_IN_LINE = 8
_HASHED_WITHIN = 10.0
_NOT_KEPT = {"Cache-Control": "no-store"}


class Login:
    """The routes of sessions. `page` is the path of the form, where a failed log-in leads back."""

    def __init__(self, auth: Auth, tries: Tries, threads: Threads, *, page: str = "/login") -> None:
        self._auth = auth
        self._tries = tries
        self._threads = threads
        self._hashing = Threads(
            most=1, line=_HASHES_IN_LINE, within=_HASHED_WITHIN, name="hash a password"
        )
        self._page = page

    def routes(self) -> list[BaseRoute]:
        """Make them; without users nobody logs in."""
        made = session_routes(self._auth, threads=self._threads)
        if self._auth.users.can_log_in:
            made.append(Route("/login", self._log_in, methods=["POST"]))
            out: list[BaseRoute] = [
                Route("/logout", self._log_out, methods=["POST"], name="logout")
            ]
            made += guard(self._auth, out, threads=self._threads, acts="viewer")
        return made

    async def _log_in(self, request: Request) -> Response:
        is_form = kind_of(request) == FORM
        given: Mapping[str, str] = {}
        try:
            it = self._auth.seen(request)
            self._auth.check_place(it)
            check_sender(it, self._auth.config.hosts)
            given = fields(kind_of(request), await whole(request))
            user, token = await self._tried(request, it, given)
        except (Refused, BrokerError) as error:
            return self._again(request, error, given) if is_form else problem(error)
        if is_form:
            answer: Response = _on(request, inside(given.get("next", "")))
        else:
            answer = _json({"name": user.name, "role": user.role, "csrf": csrf_of(token)})
        self._auth.cookie.put(answer, token, https=it.https)
        return answer

    async def _tried(
        self, request: Request, it: Seen, given: Mapping[str, str]
    ) -> tuple[User, str]:
        """Try what was given; give the user and the token of a new session. Tell of it."""
        name, password = given.get("user", ""), given.get("password", "")
        if not name or not password or max(len(name), len(password)) > LONGEST_PASSWORD:
            raise BadLogin("no user or no password, or one without end; expected both")
        try:
            user, token = await self._begin(request, it, name, password)
        except (Crowded, TooLate) as busy:
            raise Busy("too many log-ins are under way; try again in a moment") from busy
        except (Refused, BrokerError) as error:
            # A name that nobody has may be a password, in the wrong field.
            who = name if self._auth.users.find(name) else "(unknown)"
            self._auth.log.refused(who, "login", it.client, "login", error.code, str(error))
            raise
        self._auth.log.done(name, "login", it.client, "login", {}, "done")
        return user, token

    async def _begin(
        self, request: Request, it: Seen, name: str, password: str
    ) -> tuple[User, str]:
        tried = await self._threads.run(lambda: self._tries.charge(name, neighbourhood(it.client)))
        if tried.wait_ms:
            late = TooManyTries(
                "too many tries for this user or from this address; wait and try again"
            )
            late.retry_after = -(-tried.wait_ms // 1000)
            raise late
        user = await self._hashing.run(lambda: self._auth.users.by_password(name, password))
        if user is None:
            raise WrongPassword("user or password is wrong; try again")
        token, sessions = new_token(), self._auth.sessions
        before = self._auth.cookie.read(request, https=it.https)

        def begin() -> None:
            self._tries.succeeded(tried)
            if before and (found := sessions.look(before)):
                sessions.close(before, found.user)
            sessions.open(token, user.name, user.mark)

        await self._threads.run(begin)
        return user, token

    async def _log_out(self, request: Request) -> Response:
        it, who = self._auth.seen(request), who_of(request)
        if who.via != "session":
            return problem(BadLogin("no session; expected to be logged in with a password"))
        token = self._auth.cookie.read(request, https=it.https)
        assert token is not None  # it was admitted by it
        is_form = kind_of(request) == FORM
        given = fields(FORM, await whole(request)) if is_form else {}
        everywhere = given.get("everywhere") or request.query_params.get("everywhere")
        end = (
            partial(self._auth.sessions.close_all, who.name)
            if everywhere
            else partial(self._auth.sessions.close, token, who.name)
        )
        try:
            await self._threads.run(end)
        except (BrokerError, Crowded, TooLate) as error:
            # Not said to have ended: it has not.
            return problem(error if isinstance(error, BrokerError) else Busy("try again"))
        answer = _on(request, self._page) if is_form else _json({"ok": True})
        self._auth.cookie.drop(answer, https=it.https)
        return answer

    def _again(
        self, request: Request, error: Refused | BrokerError, given: Mapping[str, str]
    ) -> Response:
        """Lead back to the form, which says why in words of its own."""
        back = quote(inside(given.get("next", "")), safe="/")
        answer = _on(request, f"{self._page}?why={error.code}&next={back}")
        if isinstance(error, Refused) and error.retry_after is not None:
            answer.headers["Retry-After"] = str(error.retry_after)
        return answer


def _on(request: Request, path: str) -> Response:
    return RedirectResponse(f"{root_of(request.scope)}{path}", status_code=303, headers=_NOT_KEPT)


def _json(content: Any) -> Response:
    body = msgspec.json.encode(content) + b"\n"
    return Response(body, HTTPStatus.OK, _NOT_KEPT, media_type="application/json")
