"""A worker between its fork and its first job."""

from __future__ import annotations

import time

from jobd.worker.preload import adopted


def test_a_worker_whose_supervisor_has_gone_does_not_wait_for_it() -> None:
    """It has been adopted by somebody else, so nobody would end it with the daemon."""
    nobody = 2**22  # above every pid
    since = time.monotonic()

    assert not adopted(nobody, middle=nobody)
    assert time.monotonic() - since < 5  # of the ten seconds an adoption may take
