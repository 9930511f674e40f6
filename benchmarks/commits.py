"""The package jobd as it was at another commit, in the cache. Used by the command line.

Only the package is taken: it is run by this interpreter, with these libraries and these benchmarks,
so that nothing but jobd itself differs.
"""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from benchmarks.bench import ROOT


class NoSuchCommit(Exception):
    """What was named is no commit of this checkout, or has no package jobd."""


def package_of(commit: str, cache: Path) -> tuple[str, Path]:
    """The commit's short name, and a directory that holds its package.

    Raises:
        NoSuchCommit: it cannot be had.
    """
    short = _git("rev-parse", "--short=9", "--verify", f"{commit}^{{commit}}").decode().strip()
    home = cache / "commits" / short
    if not (home / "jobd").is_dir():
        packed = _git("archive", "--format=tar", short, "jobd")
        home.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(home, filter="data")
    _prove(home)
    return short, home


def _git(*words: str) -> bytes:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=False)
    if done.returncode:
        raise NoSuchCommit(" ".join(done.stderr.decode("utf-8", "replace").split()))
    return done.stdout


def _prove(home: Path) -> None:
    """Make sure that it is this code which is imported, and not the one that is installed."""
    told = subprocess.run(
        [sys.executable, "-c", "import jobd.client.app as found; print(found.__file__)"],
        env={**os.environ, "PYTHONPATH": str(home)},
        cwd="/",  # a package in the working directory would go first
        capture_output=True,
        text=True,
        check=False,
    )
    if not told.stdout.startswith(str(home)):
        said = told.stderr.strip().splitlines()[-1:] or [told.stdout.strip()]
        raise NoSuchCommit(f"its package cannot be imported from {home}: {said[0]}")
