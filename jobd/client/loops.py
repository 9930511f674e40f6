"""Telling code on an event loop from code that may block."""

from __future__ import annotations

import asyncio


def refuse_in_a_loop(call: str, instead: str) -> None:
    """Raise RuntimeError where a blocking call would stop an event loop; name what to write."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        f"{call} blocks the event loop it is called in; expected code outside of one; "
        f"write `await {instead}` here"
    )
