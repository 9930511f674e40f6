"""Every outage of Redis ends with every worker claiming again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.links import BadLink
from support.outages import SHORT, Fleet, Outage

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, own_server: str) -> Iterator[Fleet]:
    with BadLink(own_server) as link:
        made = Fleet(tmp_path_factory.mktemp("outages"), link, own_server)
        yield made
        made.end()


@pytest.mark.parametrize("outage", SHORT, ids=lambda outage: outage.name)
def test_every_worker_claims_again_after(outage: Outage, fleet: Fleet) -> None:
    """Of all three executors, and it is the process that was cut off: one that stayed deaf would be
    replaced. Within how many seconds is judged by the long proof, which has the machine to itself."""
    before = fleet.workers()

    fleet.suffer(outage)

    assert fleet.workers() == before
