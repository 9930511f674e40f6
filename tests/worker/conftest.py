"""An application and a page for a worker in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.inline import new_page

from jobd import Jobd
from jobd.seams.scoreboard import Scoreboard
from jobd.seams.scoreboard_page import Page


@pytest.fixture
def app(redis_url: str) -> Iterator[Jobd]:
    made = Jobd(redis_url)
    yield made
    # What a task's closure holds is collected in any order, its connections in the wrong one.
    made.producer.client.close()


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return new_page(tmp_path, cells=8)


@pytest.fixture
def board(tmp_path: Path, page: Page) -> Scoreboard:
    """The scoreboard that holds `page`, as the keeper sees it."""
    return Scoreboard.open(tmp_path / "board")
