"""Each event of the log that people are told to look for is there, under that name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import jobd
from jobd.core.alerts.kinds import KINDS
from jobd.core.config import DaemonConfig, WebConfig

ROOT = Path(jobd.__file__).parent
SOURCES = {path: path.read_text() for path in sorted(ROOT.rglob("*.py"))}
EVENTS = {
    name
    for text in SOURCES.values()
    for name in re.findall(r'event: ClassVar\[str\] = "([a-z_.]+)"', text)
}
FAMILIES = {name.partition(".")[0] for name in EVENTS}
# What else is written like an event: keys of the configuration, and what a task or a producer calls.
OTHERS = {
    "daemon": {*DaemonConfig.__struct_fields__},
    "web": {*WebConfig.__struct_fields__},
    "job": {*dir(jobd.Job), *dir(jobd.JobHandle), "once"},
}
DOCUMENTS = ["README.md", "packaging/README.md"]
_WORD = r"([a-z_]+\.[a-z_]+)"


def unknown(words: list[str]) -> list[str]:
    """Give those that look like an event and are none."""
    parted = [word.partition(".") for word in words if word not in EVENTS]
    return [
        f"{family}.{name}"
        for family, _, name in parted
        if family in FAMILIES and name not in OTHERS.get(family, ())
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_of_a_document(document: str) -> None:
    words = re.findall(rf"`{_WORD}[` ]", (ROOT.parent / document).read_text())
    assert not unknown(words)


@pytest.mark.parametrize("kind", KINDS)
def test_of_an_alerts_hint(kind: str) -> None:
    assert not unknown(re.findall(rf"`{_WORD}`", KINDS[kind].hint))


def test_of_what_messages_say() -> None:
    """`see worker.died in the log`."""
    said = {
        word
        for text in SOURCES.values()
        for first, second in re.findall(
            rf"\b{_WORD}(?:,? and {_WORD})? in (?:the|its) log", text.replace("`", "")
        )
        for word in (first, second)
        if word
    }
    assert said
    assert said <= EVENTS
