"""Whatever is drawn from elsewhere, at whichever key, and whatever is wrong with it: it is not shown."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from jobd.cli.template import template
from jobd.cli.toml_lines import assignment
from jobd.core.config import load
from jobd.core.config_drawn import Outside, Secret
from jobd.core.errors import ConfigError

# The example with every key in it said.
EXAMPLE = re.sub(r'(?m)^# (?=\[|[a-z_]+ = |  "\*)', "", template("a:b"))
CANARIES = [
    "hUnTeR2", "hUnTeR2://h", "redis://h/hUnTeR2", "redis://h?db=hUnTeR2", "redis://h?hUnTeR2=1",
    "redis://hUnTeR2:hUnTeR2/", "https://hUnTeR2:hUnTeR2/", "https://h:1hUnTeR2", "hUnTeR2://h/x",
    "1hUnTeR2", "10 hUnTeR2", "1h hUnTeR2", "hUnTeR2 * * * *", "* * * hUnTeR2 *", "hUnTeR2:1:2",
    "hUnTeR2:99999", "whsec_hUnTeR2!", "hUnTeR2 ", "hunter2:hunter2:hunter2", "Europe/hUnTeR2", "hUnTeR2%",
    "redis+sentinel://h,hUnTeR2:x/s", "[hUnTeR2]:80", "hUnTeR2" * 60,
]  # fmt: skip


def keys(value: Any) -> set[str]:
    """Name the keys there are, at any depth."""
    if isinstance(value, list):
        return set().union(*map(keys, value))
    return {*value, *keys(list(value.values()))} if isinstance(value, dict) else set()


KEYS = sorted(keys(tomllib.loads(EXAMPLE)) - {"secret_file", "url_file", "args", "user_id"})


def filled(value: Any, key: str, place: str = "") -> Any:
    """Give the data with a variable for each value of one key; of '' for each that is no table or list."""
    if key and place == key:
        return "${X}"
    if isinstance(value, dict):
        return {name: filled(each, key, name) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, key) for each in value]
    return value if key else "${X}"


def refusal(text: str, canary: str) -> str:
    """Say what is wrong with a configuration; '' for nothing."""
    try:
        load(text, "f", Outside({"X": canary}, lambda name: Secret(canary, f"/run/{name}")))
    except ConfigError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("key", ["", *KEYS])
def test_what_the_environment_has_is_not_shown(key: str) -> None:
    """At any key."""
    data = tomllib.loads(re.sub(r"(?m)^(url_file|secret_file) = ", "# ", EXAMPLE))
    text = "\n".join(assignment(name, each) for name, each in filled(data, key).items())
    assert "${X}" in text

    for canary in CANARIES:
        assert "hunter2" not in refusal(text, canary).lower()


def test_what_a_file_has_is_not_shown() -> None:
    """Of each secret that may have one."""
    text = """
        redis.url_file = "a"
        alerts.heartbeat.url_file = "a"
        [[alerts.sinks]]
        kind = "webhook"
        url_file = "a"
        secret_file = "a"
        """
    said = [refusal(text, canary).lower() for canary in CANARIES]

    assert all("hunter2" not in each for each in said)
    assert sum("redis.url_file: " in each for each in said) == len(CANARIES)
