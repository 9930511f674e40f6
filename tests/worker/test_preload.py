"""A worker between its fork and its first job."""

from __future__ import annotations

import pytest

from jobd.worker.preload import adopted


@pytest.mark.timeout(5)  # an adoption may take ten seconds: here nothing is left to wait for
def test_a_worker_whose_supervisor_has_gone_does_not_wait_for_it() -> None:
    """It has been adopted by somebody else, so nobody would end it with the daemon."""
    nobody = 2**22  # above every pid

    assert not adopted(nobody, middle=nobody)
