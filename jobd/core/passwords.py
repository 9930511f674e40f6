"""Passwords and tokens as a configuration holds them: hashed, never as they are.

    scrypt:32768:8:3:SALT:KEY     a password: N, r and p of scrypt, then base64url without padding
    sha256:HEX                    a token: it is 256 random bits, so a plain hash cannot be guessed back

Invariant: comparing takes as long for a wrong secret as for the right one. No message shows a hash.
Pure: salts and tokens are drawn by who calls.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import unicodedata

import msgspec

from jobd.core.errors import OptionError

LONGEST_PASSWORD = 1024
SHORTEST_PASSWORD = 8
SALT_BYTES = 16
TOKEN_BYTES = 32
TOKEN_PREFIX = "jobd_"  # noqa: S105  what a token begins with, so that scanners for leaks know one
_KEY_BYTES = 32
_LEAST_SALT, _MOST_SALT = 8, 64
# What one check may cost: less would be no protection, more a way to bring the web process down.
_LEAST_N, _MOST_R, _MOST_P = 2**14, 32, 16
_MOST_MEMORY = 256 * 1024**2
_TOKEN = re.compile(r"sha256:[0-9a-f]{64}")
_EXPECTED = "expected what `jobd hash-password` prints, as in 'scrypt:32768:8:3:...'"
_EXPECTED_HASH = "expected what `jobd hash-password --token` prints, as in 'sha256:...'"


class Scrypt(msgspec.Struct, frozen=True):
    """A hashed password. One check takes 128 * n * r bytes and time that grows with n * r * p."""

    n: int
    r: int
    p: int
    salt: bytes
    key: bytes

    @property
    def cost(self) -> int:
        """Say how much work a check is, to compare with others."""
        return self.n * self.r * self.p


# 32 MB and a quarter of a second on a slow machine.
COST = Scrypt(2**15, 8, 3, b"", b"")


def hashed(password: str, salt: bytes, like: Scrypt = COST) -> Scrypt:
    """Hash a password, at the cost of another hash. Raises OptionError for one that is too long."""
    key = hashlib.scrypt(
        _octets(password), salt=salt, n=like.n, r=like.r, p=like.p, dklen=_KEY_BYTES,
        maxmem=2 * _memory(like) + 1024**2,
    )  # fmt: skip
    return Scrypt(like.n, like.r, like.p, salt, key)


def matches(password: str, held: Scrypt) -> bool:
    """Say whether it is the password. Takes a quarter of a second and 32 MB, by the usual cost."""
    try:
        found = hashed(password, held.salt, held)
    except OptionError:
        return False
    return hmac.compare_digest(found.key, held.key)


def written(held: Scrypt) -> str:
    """Write a hashed password as a configuration has it."""
    numbers = f"scrypt:{held.n}:{held.r}:{held.p}"
    return f"{numbers}:{_encoded(held.salt)}:{_encoded(held.key)}"


def read_scrypt(value: object) -> Scrypt:
    """Read a hashed password that people give. Raises OptionError, without showing it."""
    held = parsed(value)
    _check_cost(held)
    if not _LEAST_SALT <= len(held.salt) <= _MOST_SALT or len(held.key) != _KEY_BYTES:
        raise OptionError(f"a salt or key of a wrong length; {_EXPECTED}")
    return held


def parsed(value: object) -> Scrypt:
    """Read what was written, whatever it costs. Raises OptionError."""
    parts = value.split(":") if isinstance(value, str) else []
    if parts[:1] != ["scrypt"]:
        raise OptionError(f"no hashed password; {_EXPECTED}")
    if len(parts) != 6 or not all(part.isascii() and part.isdecimal() for part in parts[1:4]):
        raise OptionError(f"no whole hash; {_EXPECTED}")
    if any(len(part) > 10 for part in parts[1:4]):
        raise OptionError(f"a cost that is too high; {_EXPECTED}")
    n, r, p = map(int, parts[1:4])
    return Scrypt(n, r, p, _decoded(parts[4]), _decoded(parts[5]))


def hashed_token(token: str) -> str:
    """Hash a token, as a configuration has it."""
    return f"sha256:{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()}"


def read_token_hash(value: object) -> str:
    """Read a hashed token. Raises OptionError, without showing it."""
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return value
    raise OptionError(f"no hashed token; {_EXPECTED_HASH}")


def is_token(token: str, held: str) -> bool:
    """Say whether it is the token of a hash."""
    return hmac.compare_digest(hashed_token(token), held)


def _check_cost(held: Scrypt) -> None:
    power_of_two = held.n & (held.n - 1) == 0
    if not power_of_two or not 1 <= held.r <= _MOST_R or not 1 <= held.p <= _MOST_P:
        raise OptionError(f"numbers that scrypt does not know, or refuses; {_EXPECTED}")
    if held.n < _LEAST_N or held.r < COST.r:
        raise OptionError(f"a hash that is too cheap to guess; {_EXPECTED}")
    if _memory(held) > _MOST_MEMORY:
        raise OptionError(f"a hash that takes more than 256MiB to check; {_EXPECTED}")


def _memory(held: Scrypt) -> int:
    return 128 * held.r * (held.n + held.p)


def _octets(password: str) -> bytes:
    """Give the bytes of a password: the same however a keyboard composes its letters."""
    if len(password) > LONGEST_PASSWORD:
        raise OptionError(f"{len(password)} characters; expected at most {LONGEST_PASSWORD}")
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _encoded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise OptionError(f"no base64url; {_EXPECTED}") from None
