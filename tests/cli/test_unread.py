"""What is printed and nobody reads: `jobd ... | head` ends as any program does there, by SIGPIPE."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jobd import Jobd

pytestmark = pytest.mark.process


@pytest.mark.parametrize("command", [["--help"], ["jobs", "list"], ["jobs", "list", "--json"]])
def test_whose_reader_is_gone_ends_by_the_signal_without_a_word(
    command: list[str], redis_url: str, tmp_path: Path
) -> None:
    """141 in a shell, where a pipefail tells it from failures; printed at once, or more than fits."""
    queue = Jobd(redis_url).queue("q")
    queue.add_many([("a-name-of-some-length", {"n": n}) for n in range(300)])
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "jobd", *command],
        cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False,
        env=os.environ | {"JOBD_REDIS_URL": redis_url},
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")
