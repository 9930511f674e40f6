"""Running a function in a process of its own, where it may do to that what it likes."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import Any


def forked(function: Callable[[], Any]) -> Any:
    """Call it in a forked child; give what it returns, fail with what it raises."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        # No pytest in it: nothing of what it has set up for the end of its process happens twice.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        try:
            answer = ("returned", function())
        except BaseException:
            answer = ("raised", traceback.format_exc())
        try:
            os.write(writer, pickle.dumps(answer))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert said, f"the child said nothing; it ended with {os.waitstatus_to_exitcode(status)}"
    how, answer = pickle.loads(said)
    assert how == "returned", answer
    return answer
