"""What a daemon has said so far: the records in a log that it is still writing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def records(log: Path) -> list[dict[str, Any]]:
    """Read the records of a log, whole lines only: a write under way is seen page by page."""
    if not log.exists():
        return []
    whole = log.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]


def said(log: Path, event: str) -> list[dict[str, Any]]:
    """Give the records of one name."""
    return [record for record in records(log) if record["event"] == event]
