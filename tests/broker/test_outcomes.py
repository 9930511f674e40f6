"""What became of jobs: the same as is said of each alone."""

from __future__ import annotations

from support.api import NAMESPACE, furnish

from jobd.broker.connection import Client
from jobd.broker.keys import QueueKeys
from jobd.broker.outcomes import outcomes
from jobd.broker.views import Views
from jobd.core.states import STATES, TERMINAL


def test_each_job_is_in_the_state_that_is_said_of_it_alone(client: Client) -> None:
    ids = furnish(client)
    asked = [(state, job) for state in STATES for job in ids[state]]
    found = outcomes(client, NAMESPACE, [("q", job) for _, job in asked])
    views = Views(client, NAMESPACE)
    for (state, job), outcome in zip(asked, found, strict=True):
        info = views.info("q", job)
        assert outcome is not None
        assert info is not None
        assert (outcome.state, outcome.ended_at) == (state, info.finished_at)
        assert (outcome.ended_at is not None) == (state in TERMINAL)
        assert (outcome.error is not None) == (state == "dead")


def test_what_is_not_recorded_is_none_and_a_strangers_key_is_no_failure(client: Client) -> None:
    assert outcomes(client, NAMESPACE, []) == []
    keys = QueueKeys(NAMESPACE, "q")
    client.set(keys.waiting, "no list of jobs")
    client.set(keys.job("odd"), "no job")
    gone, odd = outcomes(client, NAMESPACE, [("q", "gone"), ("q", "odd")])
    assert gone is None
    assert odd is not None
    assert odd.error is None
