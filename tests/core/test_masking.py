"""Masking: what is secret by its name is not shown, however deep; all else is as it was."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.masking import MASKED, Masking

NAMES = st.sampled_from(["password", "Api-Key", "user", "n"]) | st.text(max_size=5)
SECRET = "hunter2"
VALUES = st.recursive(
    st.none() | st.integers() | st.sampled_from([SECRET, "text"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=30,
)


def expected(mask: Masking, value: Any) -> Any:
    """The same, as plainly as it can be said."""
    if isinstance(value, list):
        return [expected(mask, each) for each in value]
    if isinstance(value, dict):
        return {k: MASKED if mask.hides(k) else expected(mask, v) for k, v in value.items()}
    return value


@given(VALUES)
def test_a_matching_field_is_masked_at_any_depth_and_nothing_else_changes(value: Any) -> None:
    before = msgspec.json.encode(value)
    mask = Masking()
    found = mask.value(value)
    assert found == expected(mask, value)
    assert mask.value(found) == found
    assert Masking([]).value(value) == value
    assert msgspec.json.encode(value) == before


@pytest.mark.parametrize(
    "name",
    [
        "password", "userPassword", "PASSWORD", "passwd", "client_secret", "access_token", "Authorization",
        "api_key", "apiKey", "X-API-Key", "card_number", "cardNumber", "private_key", "CVV", "iban",
        "aws_credentials", "pass\nword token",
    ],
)  # fmt: skip
def test_what_is_usually_secret_is_masked_by_default(name: str) -> None:
    assert Masking().value({name: [SECRET]}) == {name: MASKED}


@pytest.mark.parametrize("name", ["", "user", "compass", "author", "key", "cvv2x", "card", "\0"])
def test_what_is_usually_none_is_not(name: str) -> None:
    assert Masking().value({name: [1]}) == {name: [1]}


def test_patterns_are_of_the_shell_in_any_case_and_of_the_whole_name() -> None:
    mask = Masking(["IB?N", "x-[ab]", "a.b", "(.*)+$"])
    names = ("iban", "IBAN", "x-a", "a.b", "(.z)+$")
    others = ("ibann", "my_iban", "x-c", "aXb", "zz")
    assert [name for name in (*names, *others) if mask.hides(name)] == list(names)


def test_no_depth_is_too_much() -> None:
    value: Any = {"token": SECRET}
    for _ in range(50_000):
        value = [{"in": value}]
    found = Masking().value(value)
    while isinstance(found, list):
        found = found[0]["in"]
    assert found == {"token": MASKED}


def test_jobds_own_names_are_not_masked_and_what_is_within_is() -> None:
    line = {"token": 7, "kind": "failed", "meta": {"token": SECRET}}
    assert Masking().inside(line) == {"token": 7, "kind": "failed", "meta": {"token": MASKED}}


@pytest.mark.parametrize(
    "text",
    ['{"a": 1, "password" : "hunter2', '{"pass\\u0077ord":"hunter2"', '"x" [[[{"my_token":1', '" "token":'],
)  # fmt: skip
def test_a_document_that_cannot_be_read_is_masked_as_a_whole(text: str) -> None:
    assert Masking().document(text) == MASKED
    assert Masking([]).document(text) == text


@pytest.mark.parametrize("text", ["", "a token: x", "token", '{"user": "token"', '"token"'])
def test_a_text_that_names_no_such_field_is_shown(text: str) -> None:
    assert Masking().document(text) == text


@pytest.mark.parametrize("text", ['"' * 2_000_000, '\\"' * 1_000_000, '"a"' + " " * 2_000_000])
def test_a_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    """Would take hours if each mark were looked at with all that follows."""
    assert Masking().document(text) == text
