"""What the README shows, runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_readme_runs(
    block: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on a fresh server."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)

    exec(compile(block, str(README), "exec"), {"__name__": "readme"})


def test_there_is_something_to_run() -> None:
    """An empty list of blocks would prove nothing."""
    assert BLOCKS
