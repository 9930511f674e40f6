"""What a job is labelled with: its group, a word to find it by, and its meta, data that goes along.

Both travel among the options of the call, and concern nobody but those who read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jobd.core.errors import OptionError
from jobd.core.finite import has_nan
from jobd.core.names import check_name

MAX_META = 4096


def read_labels(given: Mapping[str, object], *, what: str) -> dict[str, Any]:
    """Read `group` and `meta` as they travel; what is not said is not there. Raises OptionError."""
    said: dict[str, Any] = {}
    if given.get("group") is not None:
        said["group"] = check_name(given["group"], what=f"{what}: group")
    if (meta := given.get("meta")) is not None:
        said["meta"] = _meta(meta, f"{what}: meta")
    return said


def labels_of(options: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Give the group and the meta among a recorded job's options, whatever else stands there."""
    group, meta = options.get("group"), options.get("meta")
    return group if isinstance(group, str) else None, meta if isinstance(meta, dict) else {}


def _meta(value: object, what: str) -> Any:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise OptionError(
            f"{what}: {value!r:.80}; expected a small dict with names as keys, "
            "as in {'traceparent': '00-...'}"
        )
    try:
        raw = msgspec.json.encode(dict(value))
        lossy = b"null" in raw and has_nan(msgspec.to_builtins(dict(value)))
    except Exception as error:  # user code too: what a value's own methods raise
        raise OptionError(
            f"{what}: {error}; expected what JSON can hold; pass text and numbers"
        ) from error
    if lossy:
        raise OptionError(
            f"{what}: NaN or infinity; expected finite numbers; JSON has no word for these"
        )
    if len(raw) > MAX_META:
        raise OptionError(
            f"{what}: {len(raw)} bytes as JSON; expected at most {MAX_META}; "
            "data for the task belongs into its arguments"
        )
    return msgspec.json.decode(raw)
