"""What is sent with a job or comes back from it: JSON, within the limit, and nothing lost on the way."""

from __future__ import annotations

import msgspec

from jobd.core.errors import NotSerializable, PayloadTooLarge
from jobd.core.finite import has_nan
from jobd.core.options import MAX_PAYLOAD
from jobd.core.same_keys import same_key

_encoder = msgspec.json.Encoder()


def encode_payload(value: object, *, what: str) -> bytes:
    """Write JSON within the limit. Raises NotSerializable, PayloadTooLarge."""
    try:
        raw = _encoder.encode(value)
        # NaN and infinity would become null without a word; only a payload with a null can hold one.
        lossy = b"null" in raw and has_nan(msgspec.to_builtins(value))
        twice = None if len(raw) > MAX_PAYLOAD else same_key(raw, value)
    except Exception as error:  # user code too: what a property or a mapping raises
        raise NotSerializable(
            f"{what}: {error}; expected data that JSON can hold; pass ids and plain values instead"
        ) from error
    if len(raw) > MAX_PAYLOAD:
        raise PayloadTooLarge(what, len(raw), MAX_PAYLOAD)
    if twice is not None:
        raise NotSerializable(
            f"{what}: two keys of one dict are {twice!r} in JSON; expected keys that differ as texts, or one "
            "of the two would be lost; make them texts yourself"
        )
    if lossy:
        raise NotSerializable(
            f"{what}: NaN or infinity; expected finite numbers; JSON has no word for these"
        )
    return raw
