"""What the README shows, runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from support.documents import blocks_of
from support.inline import new_page, working
from support.servers import eventually

from jobd.seams.scoreboard_page import Page

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text()
# The other four are files of the tour, and what others mount: test_readme_tour.py, test_readme_mounted.py.
BLOCKS = blocks_of(
    "README.md", "python", without=("# shop/jobs.py", "# add.py", "FastAPI()", "django_user")
)


@pytest.fixture
def page(tmp_path: Path) -> Page:
    return new_page(tmp_path)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_of_the_readme_runs(
    block: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on a fresh server."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)

    exec(compile(block, str(README), "exec"), {"__name__": "readme"})


def test_what_the_readme_says_of_failures_is_so(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    """Each answer of its bank ends where it is said to, by a worker."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    [block] = [each for each in BLOCKS if "give_up_on" in each]
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, str(README), "exec"), names)
    app, bank = names["app"], names["bank"]
    views = app.producer.views()
    answers = ("yes", "no", "busy", "closed", "cancelled", "gone")
    with working(app, bank, page):
        eventually(lambda: views.counts("bank")["waiting"] == views.counts("bank")["active"] == 0)
    found = {}
    for answer in answers:
        info = views.info("bank", answer)
        assert info is not None
        now = info.history[-1]["at"] if info.history else info.enqueued_at
        waits = None if info.due_at is None else round((info.due_at - now) / 60_000)
        found[answer] = (info.state, info.cause, info.failed, info.snoozed, waits)
    assert found == {
        "yes": ("completed", None, 0, 0, None),
        "no": ("dead", "failed", 1, 0, None),
        "busy": ("delayed", None, 1, 0, 5),
        "closed": ("delayed", None, 0, 1, 480),
        "cancelled": ("dead", "discarded", 0, 0, None),
        "gone": ("delayed", None, 1, 0, 1),
    }


def carried_out(word: str) -> dict[str, Any]:
    """Run the one block that holds a word; give its names."""
    [block] = [each for each in BLOCKS if word in each]
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, str(README), "exec"), names)
    return names


def test_what_the_readme_says_of_notes_is_so(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    """Its order is packed by a worker, and paid once."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    names = carried_out("job.once")
    handle = names["handle"]
    with working(names["app"], names["shop"], page):
        assert handle.result() == "receipt-7"
    info = handle.info()
    assert [line.text for line in info.logs] == ["packed cup", "packed spoon"]
    assert (handle.progress().fraction, handle.progress().text) == (1.0, "2 of 2 packed")
    assert info.steps == {"charge": {"receipt": "receipt-7"}}


def test_what_the_readme_says_of_hooks_is_so(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, page: Page
) -> None:
    """Its death is told by a job."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    names = carried_out("page_somebody")
    with working(names["app"], names["bank"], page):
        [told] = eventually(lambda: names["pages"])
    assert told.startswith("transfer ")
    assert told.endswith(": failed, ValueError: -1")


def test_what_the_readme_runs_at_once_ends_as_it_says(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its pages on an event loop, and what a soft timeout left of the rest."""
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    [block] = [each for each in BLOCKS if "SoftTimeout" in each]
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, str(README), "exec"), names)
    with working(names["app"], names["web"], new_page(tmp_path, cells=100), concurrency=100):
        assert [page.result("20s") for page in names["pages"]] == [21] * 10 + [22] * 90
        assert 0 <= names["part"].result("20s") < 1_000_000


def test_what_is_named_is_there() -> None:
    """Each file that is spoken of, and each directory of the map."""
    root = README.parent
    for name in re.findall(r"`((?:jobd|packaging|systemd)/[\w./]+)`", TEXT):
        assert (root / name).exists(), name
    for name in re.findall(r"^  (\w+)/ ", TEXT, re.MULTILINE):
        assert (root / "jobd" / name).is_dir(), name
