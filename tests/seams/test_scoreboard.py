"""The scoreboard's file on a disk that is full."""

from __future__ import annotations

import errno
import os
import resource
from contextlib import suppress
from pathlib import Path

import pytest
from support.forked import forked

from jobd.seams.scoreboard import Owner, Scoreboard
from jobd.seams.scoreboard_layout import NEAR, Layout
from jobd.seams.scoreboard_views import mark_of

OWNER = Owner("n", 1, 1, "boot")


def test_what_is_always_used_of_it_is_there_from_the_start(tmp_path: Path) -> None:
    """A hole in it is SIGBUS for who touches it when the disk is full by then."""
    board = Scoreboard.create(tmp_path / "b", owner=OWNER, pages=20, cells=1000)
    assert board.path.stat().st_blocks * 512 >= 21 * 4096
    assert board.path.stat().st_mode & 0o777 == 0o600


def test_what_is_always_used_of_it_lies_in_one_piece(tmp_path: Path) -> None:
    """A disk that tells its device of each piece that is given back would take a second for hundreds."""
    board = Scoreboard.create(tmp_path / "b", owner=OWNER, pages=20, cells=1000)
    layout = Layout(20, 1000)
    assert [layout.page_at(index) for index in range(20)] == [4096 * (1 + i) for i in range(20)]
    assert layout.always_used == 21 * 4096
    for page in board.pages:
        page.hand_out(incarnation=f"n.{page.index}", queue="q", slot="q.1", cells=NEAR)
        page.start(NEAR - 1, b"j", 1, b"t", 1.0, 0.0)
    # Some file systems count what they note about a file, too.
    assert board.path.stat().st_blocks * 512 <= layout.always_used + 4 * 4096


@pytest.mark.parametrize("cells", [1, NEAR, NEAR + 1, 40])
def test_each_cell_has_a_place_of_its_own(tmp_path: Path, cells: int) -> None:
    """Those in the page and those beyond, of neighbours, and for who maps the file anew."""
    board = Scoreboard.create(tmp_path / "b", owner=OWNER, pages=3, cells=cells)
    runs = [(page, cell) for page in range(3) for cell in range(cells)]
    for page in board.pages:
        page.hand_out(incarnation=f"n.{page.index}", queue="q", slot="q.1", cells=cells)
    for page, cell in runs:
        name = f"{page}-{cell}"
        board.pages[page].start(cell, name.encode(), 1 + cell, b"t", 1.0, 0.0)
        board.pages[page].cancel(cell, mark_of(name, 1 + cell), condemn=cell % 2 == 0)

    found = Scoreboard.open(board.path)
    assert board.path.stat().st_size == Layout(3, cells).size
    views = found.views()
    assert [view.incarnation for view in views] == ["n.0", "n.1", "n.2"]
    seen = [
        (view.index, c.index, c.job_id, c.claim, c.condemned) for view in views for c in view.cells
    ]
    assert seen == [(page, cell, f"{page}-{cell}", 1 + cell, cell % 2 == 0) for page, cell in runs]
    for page, cell in runs:
        assert found.pages[page].is_cancelled(cell, mark_of(f"{page}-{cell}", 1 + cell))
        found.pages[page].finish(cell)
    assert [view.cells for view in board.views()] == [(), (), ()]


def test_a_disk_without_room_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    """As an error, in the process that makes the file."""

    def child() -> object:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
        try:
            Scoreboard.create(tmp_path / "b", owner=OWNER, pages=20, cells=1)
        except OSError as refused:
            return refused.errno, list(tmp_path.iterdir())
        return None

    said = forked(child)
    assert said == (errno.EFBIG, [])


def test_who_starts_a_job_is_told_what_was_revoked(tmp_path: Path) -> None:
    """By the same call that says it runs: nothing is revoked in between, unseen by both."""
    board = Scoreboard.create(tmp_path / "b", owner=OWNER, pages=2, cells=2)
    for page in board.pages:
        page.hand_out(incarnation=f"w.{page.index}", queue="q", slot="q.1", cells=2)
    page = board.pages[1]
    assert page.start(1, b"a", 7, b"t", 1.0, 0.0) == 0
    page.revoke(2**52 + 1)
    assert page.start(1, b"b", 8, b"t", 1.0, 0.0) == 2**52 + 1
    [other, view] = board.views()
    assert (other.revoked, view.revoked) == (0, 2**52 + 1)
    assert (other.cells, [cell.job_id for cell in view.cells]) == ((), ["b"])
    page.finish(1)
    assert board.views()[1].cells == ()


@pytest.mark.parametrize("cells", [0, 1001])
def test_so_many_jobs_at_once_it_holds(tmp_path: Path, cells: int) -> None:
    """Others are refused, and nothing is made."""
    with pytest.raises(ValueError, match="expected 1 to 1000"):
        Scoreboard.create(tmp_path / "b", owner=OWNER, pages=1, cells=cells)
    assert not list(tmp_path.iterdir())


def test_who_writes_into_every_descriptor_does_not_write_over_it(tmp_path: Path) -> None:
    """A mapping keeps one; what is written to pages goes through all the same."""
    path = tmp_path / "b"
    Scoreboard.create(path, owner=OWNER, pages=2, cells=1)

    def child() -> object:
        # Not into those of the tests: their log, their servers.
        free = [fd for fd in range(3, 64) if not Path(f"/proc/self/fd/{fd}").is_symlink()]
        board = Scoreboard.open(path)
        for fd in free:
            with suppress(OSError):
                os.lseek(fd, 0, os.SEEK_SET)
                os.write(fd, b"x" * 8192)
        board.pages[1].hand_out(incarnation="n.1", queue="q", slot="q.1")
        return True

    assert forked(child)
    board = Scoreboard.open(path)
    assert board.owner == OWNER
    assert [view.incarnation for view in board.views()] == ["n.1"]
