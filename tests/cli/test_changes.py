"""What `jobd dev` takes for a change."""

from __future__ import annotations

from pathlib import Path

from jobd.cli.changes import Changes


def test_python_files_are_watched_and_nothing_else(tmp_path: Path) -> None:
    """Made, changed and removed; not in caches, hidden folders or virtual environments."""
    for folder in ("shop", "__pycache__", ".git", "venv/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    changes = Changes(tmp_path)
    assert changes.look() is None

    for name in ("notes.txt", "__pycache__/a.py", ".git/a.py", "venv/lib/a.py"):
        (tmp_path / name).touch()
    assert changes.look() is None

    jobs = tmp_path / "shop" / "jobs.py"
    jobs.touch()
    assert changes.look() == str(jobs)
    assert changes.look() is None
    jobs.write_text("x = 1")
    assert changes.look() == str(jobs)
    jobs.unlink()
    assert changes.look() == str(jobs)
