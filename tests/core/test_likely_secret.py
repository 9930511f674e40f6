"""Addresses of receivers: which of them look as if whoever has them may write there."""

from __future__ import annotations

import pytest

from jobd.core.likely_secret import may_be_secret


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example/3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "https://chat.example/api/webhooks/123456789012345678/aB3x-Yz9Qk2LmN8pR4sT6vW1",
        "https://hooks.example/in/9f86d081884c7d659a2feaa0c55ad015",
        "https://hooks.example/a@b/3f2504e0-4f89-41d3-9a0c-0305e82c3301@x",
        "https://hooks.example/jobd?token=x",
        "https://hooks.example/jobd?API_KEY=abc",
        "https://hooks.example/jobd?a=9f86d081884c7d659a2feaa0c55ad015",
        "https://hooks.example/aB3x%2DYz9Qk2LmN8pR4sT6vW1",
    ],
)
def test_what_looks_like_a_token_may_be_a_secret(url: str) -> None:
    """In the path or after it."""
    assert may_be_secret(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example",
        "https://hooks.example/jobd",
        "https://hooks.example/teams/platform-engineering/incoming-notifications-2024",
        "https://hooks.example/v2/events/2024-11-30T00:00:00?channel=operations",
        "https://10.0.0.1:8443/api/v1/alerts",
        "https://events.example/v2/enqueue",
        "https://a1b2c3d4e5f6a7b8.lambda.example/jobd",
        "https://[broken",
        "https://hooks.example/jobd?sig=",
        "https://hooks.example/123456789012345678",
    ],
)
def test_what_people_name_is_none(url: str) -> None:
    """Words, versions, dates, hosts: a warning about each would be read by nobody."""
    assert not may_be_secret(url)
