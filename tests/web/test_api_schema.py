"""The document is fed to a fuzzer: whatever it makes of it, no answer is a mistake of ours.

Of a queue with jobs in each state, hostile names and bytes included. Needs schemathesis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.api import Api, furnish

from jobd.core.web_events import WebFailed

schemathesis = pytest.importorskip("schemathesis")

EXAMPLES = 40
WHO = {"who": "operator"}
# What a schema cannot say, as that a filter and ids exclude each other, is refused all the same.
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
]


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_is_a_mistake_of_ours(redis_url: str, tmp_path: Path, mode: str) -> None:
    """Every answer is of a status and a shape that the document has."""
    api = Api(redis_url, tmp_path)
    furnish(api.client)
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.app, headers=WHO)
    schemathesis.checks.load_all_checks()
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        kinds = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=kinds)
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(headers=WHO, checks=checks)

        ask()
    assert [each for each in api.told if isinstance(each, WebFailed)] == []
    print(f"{mode}: {asked} requests")
