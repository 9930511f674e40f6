"""The cookie that holds a session's token, and the token against forged requests made from it.

Behind TLS it is __Host-: no other host, and no page without TLS, can set or read it; below a path, where
it is sent to that path only, it is __Secure-. Its name has the namespace's digest in it: browsers do not tell
ports apart, and two daemons may share a host.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from starlette.requests import HTTPConnection
from starlette.responses import Response

from jobd.core.passwords import TOKEN_BYTES

_LONGEST = 100


class Cookie:
    """The cookie of one namespace, of what lies below one path."""

    def __init__(self, namespace: str, path: str = "/") -> None:
        self._path = path
        self._name = f"jobd-{hashlib.sha256(namespace.encode()).hexdigest()[:8]}"

    def read(self, request: HTTPConnection, *, https: bool) -> str | None:
        """Give the token that a browser sends."""
        token = request.cookies.get(self._named(https))
        return token if token and len(token) <= _LONGEST else None

    def put(self, response: Response, token: str, *, https: bool) -> None:
        """Have the browser keep a token until it is closed; the session ends by itself."""
        response.set_cookie(
            self._named(https), token, path=self._path, secure=https, httponly=True, samesite="lax"
        )

    def drop(self, response: Response, *, https: bool) -> None:
        """Have the browser forget it."""
        response.delete_cookie(
            self._named(https), path=self._path, secure=https, httponly=True, samesite="lax"
        )

    def _named(self, https: bool) -> str:
        if not https:
            return self._name
        return f"__Host-{self._name}" if self._path == "/" else f"__Secure-{self._name}"


def new_token() -> str:
    """Draw a token."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def csrf_of(token: str) -> str:
    """Give what a page of this session has to send along. It does not lead back to the token."""
    made = hmac.digest(token.encode("utf-8", "surrogatepass"), b"jobd: against forgery", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def is_csrf(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
