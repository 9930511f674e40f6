"""What the README tells operators is what the code does: every key, metric and kind of rule."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from support.documents import blocks_of

from jobd.cli.main import cli
from jobd.core.alerts.kinds import KINDS
from jobd.core.config import load
from jobd.core.config_drawn import Outside, Secret
from jobd.web.metrics_table import ALL_HOSTS, METRICS

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text()
TOML = blocks_of("README.md", "toml")
OUTSIDE = Outside(
    {"JOBD_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLxWX"},
    lambda name: Secret("redis://127.0.0.1:6379/0", name),
)


@pytest.mark.parametrize("block", TOML)
def test_a_piece_of_configuration_can_be_read(block: str) -> None:
    """As part of a file."""
    load(block, "README.md", OUTSIDE)


def test_the_table_of_metrics_is_all_of_them() -> None:
    chapter = TEXT.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"`(jobd_\w+)`", chapter)) == set(METRICS)
    for name, metric in METRICS.items():
        [line] = [line for line in chapter.splitlines() if f"`{name}`" in line and "|" in line]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[1] == ("all" if metric.over_hosts == ALL_HOSTS else "host")
        assert re.findall(r"`(\w+)`", cells[2]) == list(metric.labels)


def test_each_kind_of_rule_has_its_paragraph() -> None:
    chapter = TEXT.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    assert re.findall(r"^- \*\*`(\w+)`\*\*", chapter, re.MULTILINE) == list(KINDS)


SPOKEN = sorted({" ".join(found.split()) for found in re.findall(r"`(jobd [^`]+)`", TEXT)})


@pytest.mark.parametrize("line", SPOKEN)
def test_a_command_that_is_named_is_there(line: str) -> None:
    """With its verb and its options; words in capitals and brackets stand for others."""
    words = re.sub(r"[\[\]|]|\.\.\.", " ", line).split()[1:]
    if words[0].startswith("_") or "," in line:
        return  # a name of something else
    command: click.Command = cli
    while isinstance(command, click.Group) and words and words[0].islower():
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    used = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert used <= options | {"--help", "-h"}
