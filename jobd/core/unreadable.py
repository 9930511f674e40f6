"""What reading JSON raises, for bytes that somebody else wrote.

Invariant: whoever decodes what a stranger may have written catches all of it, by this one name: not only
what is no JSON or of another shape, but also what nests deeper than the interpreter goes, which is no
error of msgspec's. Used wherever jobd reads a socket, a file or what is in Redis.
"""

from __future__ import annotations

import msgspec

UNREADABLE_JSON = (msgspec.MsgspecError, UnicodeError, RecursionError)
