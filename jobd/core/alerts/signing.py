"""Signatures of the Standard Webhooks specification (v1, HMAC-SHA256), and the secrets they are made with.

Invariant: whoever knows the secret can tell that id, time and body are ours and unchanged.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

_PREFIX = "whsec_"
# As the specification wants a key to be. A text without prefix of that size is read both ways.
_SIZES = range(24, 65)


def keys_of(secret: str) -> list[bytes]:
    """Read a secret: `whsec_` and base64, or a plain text, whose bytes are the key.

    A plain text that is also the base64 of a key (libraries read it so) gives both. Raises ValueError.
    """
    if secret.startswith(_PREFIX):
        key = _from_base64(secret.removeprefix(_PREFIX))
        if not key:
            # Never the text itself: it is a secret.
            raise ValueError(
                "a text that begins with whsec_ and goes on with no base64; expected whsec_ and the "
                "base64 of 24 to 64 random bytes; make one, or give the secret without whsec_"
            )
        return [key]
    if not secret:
        raise ValueError("an empty text; expected a secret; write one, or leave the key out")
    other = _from_base64(secret)
    return [secret.encode(), other] if other and len(other) in _SIZES else [secret.encode()]


def signatures(secret: str, *, id_: str, at: int, body: bytes) -> str:
    """Make the webhook-signature header of a message sent `at` seconds since 1970. Raises ValueError."""
    signed = b"%s.%d.%s" % (id_.encode(), at, body)
    made = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys_of(secret)]
    return " ".join(f"v1,{base64.b64encode(each).decode()}" for each in made)


def _from_base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
