"""Kinds of values in queries and bodies: what the document says of them. They are checked where they are
read, by what says best what is wrong."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

NAME_PATTERN = r"^(?!\.\.?$)[A-Za-z0-9_.:-]{1,128}$"
_SPAN_EXAMPLES = ["90s", "2h", "7d"]

Name = Annotated[str, Meta(extra_json_schema={"pattern": NAME_PATTERN})]
"""The name of a queue, task, job or group."""

Span = Annotated[str, Meta(extra_json_schema={"examples": _SPAN_EXAMPLES})] | float
"""A duration: `90s`, or seconds."""

Words = Annotated[str, Meta(extra_json_schema={"maxLength": 200})]
"""A remark for people."""

State = Literal["waiting", "delayed", "active", "completed", "dead", "cancelled"]
"""The states of a job."""
