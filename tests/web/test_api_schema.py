"""The document is fed to a fuzzer: whatever it makes of it, no answer is a mistake of ours.

Of a queue with jobs in each state, hostile names and bytes included. Needs schemathesis.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.api import NAMESPACE, Api, ended, furnish

from jobd import Jobd
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


def furnished(api: Api, url: str) -> dict[str, list[str]]:
    """Put something of every kind there; give the names of all, by the part of a path that has them.

    There is no daemon: that `here` has none is 503, and no mistake.
    """
    jobs = [job for some in furnish(api.client).values() for job in some]
    queue = Jobd(url, namespace=NAMESPACE).queue("q")
    queue.schedules.put("s", task="work", cron="0 3 * * *", args={"token": 1})
    began = api.act("POST", "/operations", {"verb": "retry", "ids": ["none"]})
    operation = ended(api, began)["id"]
    return {
        "queue": ["q"], "job": jobs, "schedule": ["s"], "operation": [operation],
    }  # fmt: skip


def named(names: dict[str, list[str]]) -> st.SearchStrategy[dict[str, str]]:
    """Some parts of a path, perhaps none, with names of what is there."""
    return st.fixed_dictionaries(
        {}, optional={part: st.sampled_from(known) for part, known in names.items()}
    )


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_no_request_is_a_mistake_of_ours(redis_url: str, tmp_path: Path, mode: str) -> None:
    """Every answer is of a status and a shape that the document has."""
    api = Api(redis_url, tmp_path)
    paths = named(furnished(api, redis_url))
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", api.app, headers=WHO)
    schemathesis.checks.load_all_checks()
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKS)
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        kinds = operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode))

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=kinds, names=paths)
        def ask(case: Any, names: dict[str, str]) -> None:
            nonlocal asked
            asked += 1
            # Of names that are made up there is nothing, so often one of something that is there.
            case.path_parameters |= {
                n: names[n] for n in case.path_parameters.keys() & names.keys()
            }
            case.call_and_validate(headers=WHO, checks=checks)

        ask()
    assert [each for each in api.told if isinstance(each, WebFailed)] == []
    print(f"{mode}: {asked} requests")
