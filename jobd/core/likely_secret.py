"""Whether the address of a receiver may itself be the secret: of many, who has it may write there.

There is no way to know. What decides is that people do not name things so: a long piece in which letters
and digits change often, or an option that says what it is. A short token is missed.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

_SHORTEST = 16
_LEAST_CHANGES = 3
_CHANGE = re.compile(r"(?<=[a-z])(?=[0-9])|(?<=[0-9])(?=[a-z])", re.IGNORECASE)
_SAYS_SO = re.compile(r"token|secret|password|sig|key|code", re.IGNORECASE)


def may_be_secret(url: str) -> bool:
    """Say whether the path or an option of a URL looks like a secret."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    options = parse_qsl(parts.query)
    return any(_SAYS_SO.search(name) for name, _ in options) or any(
        map(_is_token, [*unquote(parts.path).split("/"), *(value for _, value in options)])
    )


def _is_token(piece: str) -> bool:
    return len(piece) >= _SHORTEST and len(_CHANGE.findall(piece)) >= _LEAST_CHANGES
