"""The alert rules for Prometheus: right by promtool, and each tried, firing and not firing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support.documents import block

FOLDER = Path(__file__).parents[2] / "packaging" / "prometheus"
RULES = FOLDER / "jobd.rules.yml"
TESTS = FOLDER / "jobd.rules.test.yml"
# No reader of YAML is among our libraries; these files are written one key a line.
ALERTS = re.findall(r"^      - alert: (\w+)$", RULES.read_text(), re.MULTILINE)
RECORDED = re.findall(r"^      - record: (\S+)$", RULES.read_text(), re.MULTILINE)
has_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here")


def promtool(*arguments: str) -> str:
    """Run it; give what it says."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@has_promtool
def test_promtool_has_no_complaint() -> None:
    """Neither of the rules nor of the configuration that names them."""
    assert f"SUCCESS: {len(ALERTS) + len(RECORDED)} rules found" in promtool(
        "check", "rules", RULES.name
    )
    promtool("check", "config", "prometheus.yml")


@has_promtool
def test_the_rules_do_what_their_tests_say(tmp_path: Path) -> None:
    """In virtual time, by the commands of packaging/README.md."""
    typed = block("packaging/README.md", "promtool test rules").replace(
        "/etc/prometheus", str(tmp_path)
    )
    done = subprocess.run(
        ["sh", "-c", f"set -e\n{typed}"],
        cwd=FOLDER.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("SUCCESS") == 2


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_is_tried_firing_and_not_firing(alert: str) -> None:
    """A rule that always fires, or never, passes no such pair."""
    expectations = re.findall(
        rf"""- expr: 'ALERTS\{{alertname="{alert}", alertstate="firing"\}}'\n +eval_time: \w+\n +exp_samples:( \[\])?$""",
        TESTS.read_text(), re.MULTILINE,
    )  # fmt: skip

    assert set(expectations) == {"", " []"}


def test_an_alert_says_how_bad_it_is_and_what_to_do() -> None:
    """For whoever is woken by it."""
    blocks = re.split(r"^      - (?:alert|record): ", RULES.read_text(), flags=re.MULTILINE)[1:]
    for each in blocks:
        name = each.partition("\n")[0]
        if name in ALERTS:
            assert re.search(r"severity: (warning|critical)\n", each), name
            assert re.search(r"summary: \".{20,}\"\n", each), name
            assert re.search(r"description: >-\n.{30,}", each), name


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_is_tried_too(name: str) -> None:
    """By its value in a small world."""
    assert f"- expr: {name}\n" in TESTS.read_text()
