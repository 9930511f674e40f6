"""Keys that are one text in JSON: refused where they are written, never lost."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.inline import new_page, working

from jobd import Jobd, JobFailed, NotSerializable
from jobd.client.payload import encode_payload

KEYS = st.integers(-3, 3) | st.sampled_from(["-1", "0", "1", "2", "1.0", "a", '"', "é", "{"])
VALUES = st.recursive(
    KEYS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def as_texts(value: Any) -> tuple[Any, bool]:
    """The value as JSON has it, and whether nothing is lost by that."""
    if isinstance(value, list):
        pairs = [as_texts(each) for each in value]
        return [each for each, _ in pairs], all(whole for _, whole in pairs)
    if isinstance(value, dict):
        made, whole = {}, True
        for key, each in value.items():
            made[str(key)], inner = as_texts(each)
            whole = whole and inner
        return made, whole and len(made) == len(value)
    return value, True


@given(VALUES)
def test_what_is_written_is_whole_or_refused(value: Any) -> None:
    """At any depth, and whatever else is there; and nothing is refused that is whole."""
    expected, whole = as_texts(value)
    if whole:
        assert msgspec.json.decode(encode_payload(value, what="x")) == expected
    else:
        with pytest.raises(NotSerializable, match=r"x: two keys of one dict are '.+' in JSON"):
            encode_payload(value, what="x")


class Colour(enum.Enum):
    RED = "red"


ONE = UUID(int=1)


@pytest.mark.parametrize("first", [1, 1.5, ONE, Colour.RED])
def test_all_kinds_of_keys_count(first: Any) -> None:
    text = str(first.value if isinstance(first, enum.Enum) else first)
    with pytest.raises(NotSerializable, match="two keys of one dict are"):
        encode_payload({first: 1, text: 2}, what="x")
    assert encode_payload({first: 1, "other": 2}, what="x")


def test_json_that_is_given_as_such_may_be_written_in_any_way() -> None:
    raw = msgspec.Raw(b'{ "a" : 1, "b": {"a": 2} }')
    assert encode_payload({"there": raw}, what="x") == b'{"there":' + bytes(raw) + b"}"


def test_arguments_are_refused_when_adding(redis_url: str) -> None:
    queue = Jobd(redis_url).queue("q")
    with pytest.raises(
        NotSerializable, match=r"arguments of task 't': two keys .* '1' .*; expected"
    ):
        queue.add("t", {"1": 1, 1: 2})  # type: ignore[dict-item]
    with pytest.raises(NotSerializable, match="two keys"):
        queue.add_many([("t", {"n": 1}), ("t", {"by": {"1": 1, 1: 2}})])
    assert list(queue.find("waiting")) == []


def test_a_result_is_dead_with_a_cause_that_says_so(redis_url: str, tmp_path: Path) -> None:
    """Not tried again: it would be the same."""
    app = Jobd(redis_url)
    queue = app.queue("q", attempts=5)

    @queue.task()
    def counts() -> dict[object, int]:
        return {"1": 1, 1: 2}

    with working(app, queue, new_page(tmp_path)), pytest.raises(JobFailed) as failed:
        counts.enqueue().result("10s")
    assert failed.value.cause == "unencodable"
    assert "result of task 'counts': two keys of one dict are '1' in JSON" in str(failed.value)
