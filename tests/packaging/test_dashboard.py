"""The dashboard and the alert rules name what there is, and answer in a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.expositions import Exposition
from support.promql import named, rule_expressions
from support.servers import eventually, running, server_programs
from support.web import ask, free_port, tried

from jobd import Jobd
from jobd.web.metrics_table import ALL_HOSTS, EACH_HOST, METRICS

FOLDER = Path(__file__).parents[2] / "packaging"
RULES = FOLDER / "prometheus" / "jobd.rules.yml"
BOARD = json.loads((FOLDER / "grafana" / "jobd.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
SHOWN = [target["expr"] for panel in PANELS for target in panel["targets"]]
RULED = rule_expressions(RULES.read_text())
# Labels that Prometheus adds to what it scrapes, and to alerts.
SCRAPED = {"job", "instance"}
ALERT = {"alertname", "alertstate", "severity", "queue"}
RECORDED = {
    "job_queue_outcome:jobd_jobs:rate5m": {"job", "queue", "outcome"},
    "job_queue:jobd_jobs_failed:share5m": {"job", "queue"},
    "job_queue:jobd_queue_waiting:max": {"job", "queue"},
    "job_queue:jobd_queue_oldest_seconds:max": {"job", "queue"},
}
# What a short life of a daemon need not have.
MAY_BE_EMPTY = ("jobd_task_growth_bytes",)


def labels_of(metric: str) -> set[str] | None:
    """Give the labels of a metric there is; None of one that there is not."""
    if metric in RECORDED:
        return RECORDED[metric]
    if metric in ("up", "ALERTS"):
        return SCRAPED | (ALERT if metric == "ALERTS" else set())
    base = re.sub(r"_(bucket|count|sum)$", "", metric)
    found = METRICS.get(metric) or METRICS.get(base)
    if found is None or (metric != found.name) != (found.kind == "histogram"):
        return None
    return {*found.labels, *SCRAPED, *(("le",) if metric.endswith("_bucket") else ())}


@pytest.mark.parametrize("expression", [*SHOWN, *RULED])
def test_an_expression_names_metrics_and_labels_that_there_are(expression: str) -> None:
    """By the table from which the metrics are made."""
    said = named(expression)
    assert said.chosen
    labels = {metric: labels_of(metric) for metric in said.chosen}
    assert [metric for metric, known in labels.items() if known is None] == []
    for metric, chosen in said.chosen.items():
        assert chosen <= (labels[metric] or set()), metric
    assert said.grouped <= {label for known in labels.values() for label in known or ()}


def test_the_rules_record_what_is_said_here_of_them() -> None:
    """Name and labels."""
    text = RULES.read_text()
    assert set(re.findall(r"- record: (\S+)", text)) == set(RECORDED)
    for name, labels in RECORDED.items():
        assert f"by ({', '.join(sorted(labels, key=('job', 'queue', 'outcome').index))})" in text, (
            name
        )


def aggregated(metric: str) -> str | None:
    """How a metric of the table is to be aggregated over hosts."""
    known = METRICS.get(metric) or METRICS.get(re.sub(r"_(bucket|count|sum)$", "", metric))
    return known.over_hosts if known else None


@pytest.mark.parametrize("expression", [*SHOWN, *RULED])
def test_hosts_are_aggregated_as_the_metrics_help_says(expression: str) -> None:
    """What all hosts tell alike would be counted once a host by a sum: max comes first."""
    for metric in named(expression).chosen:
        places = len(re.findall(rf"\b{metric}\b", expression))
        if aggregated(metric) == ALL_HOSTS:
            spot = r"(?:max|min)\s*(?:by \([^)]*\) )?\((?:rate|increase|delta)?\(?" + metric
            assert len(re.findall(spot, expression)) == places, metric
        elif aggregated(metric) == EACH_HOST:
            spot = r"sum\s*(?:by \([^)]*\) )?\((?:rate|increase|delta)?\(?" + metric
            assert re.findall(spot, expression) == [], metric


def test_the_dashboard_is_whole() -> None:
    """Each panel and variable asks the chosen Prometheus, and says what it shows."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["datasource"] == source, panel["title"]
        assert [target["datasource"] for target in panel["targets"]] == [source] * len(
            panel["targets"]
        )
        assert panel["description"].endswith("."), panel["title"]
    variables = {each["name"]: each for each in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$(\w+)", "".join(SHOWN))) - {"__rate_interval"}
    assert used < set(variables) == {"datasource", "job", "queue", "instance"}
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(ids) == len(set(ids))
    for one in BOARD["panels"]:
        spot = one["gridPos"]
        assert spot["x"] + spot["w"] <= 24, one["title"]
        for other in BOARD["panels"]:
            assert one is other or apart(spot, other["gridPos"]), (one["title"], other["title"])


def apart(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    )  # fmt: skip


# --- against a live scrape ------------------------------------------------------------------------

APP = """
import os
import time
from jobd import Jobd
app = Jobd()
q = app.queue("q")
@q.task()
def works(n: int) -> int:
    time.sleep(0.01)
    return n
@q.task()
def fails() -> None:
    raise ValueError("on purpose")
@q.task(max_crashes=1)
def ends_its_process() -> None:
    os.kill(os.getpid(), 9)
"""


class Scraped:
    """A daemon at work, and a Prometheus that looks at it each second."""

    def __init__(self, top: Path, url: str) -> None:
        self.top, self.url = top, url
        self.port, self.web = free_port(), free_port()
        self.app = Jobd(url=url)
        (top / "app.py").write_text(APP)
        (top / "jobd.toml").write_text(
            f'app = "app:app"\n[redis]\nurl = "{url}"\n[daemon]\nruntime_dir = "{top}/run"\n'
            f'[queues.q]\nprocesses = 2\n[web]\nbind = "127.0.0.1:{self.web}"\n'
            '[[alerts.rules]]\nname = "dead ones"\nkind = "dead"\nabove = 0\n'
        )
        rules = RULES.read_text()
        (top / "jobd.rules.yml").write_text(rules)
        (top / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            "rule_files: [jobd.rules.yml]\n"
            "scrape_configs:\n  - job_name: jobd\n    static_configs:\n"
            f'      - targets: ["127.0.0.1:{self.web}"]\n'
        )
        self._log = (top / "log").open("wb")
        self._processes = [
            self._start(sys.executable, "-m", "jobd", "run", "-c", "jobd.toml"),
            self._start(
                "prometheus", "--config.file=prometheus.yml", f"--storage.tsdb.path={top}/tsdb",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ),
        ]  # fmt: skip

    def _start(self, *argv: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv, cwd=self.top, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def query(self, expression: str) -> list[Any]:
        """Ask Prometheus. An error fails."""
        wanted = urllib.parse.quote(instead(expression))
        answer = ask(self.port, f"/api/v1/query?query={wanted}")
        assert answer.json["status"] == "success", (expression, answer.json)
        assert not answer.json.get("warnings"), (expression, answer.json)
        found: list[Any] = answer.json["data"]["result"]
        return found

    def text(self) -> str:
        return (self.top / "log").read_text()

    def close(self) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


def instead(expression: str) -> str:
    """Fill in what Grafana fills in."""
    filled = re.sub(
        r'"\$(job|queue|instance)"', '".*"', expression.replace("$__rate_interval", "5m")
    )
    assert "$" not in filled
    return filled


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    top = tmp_path_factory.mktemp("scraped")
    (top / "redis").mkdir()
    program = next(iter(server_programs().values()))
    with running(program, top / "redis", "--maxmemory", "200mb") as url:
        found = Scraped(top, url)
        try:
            eventually(lambda: (a := tried(found.web, "/readyz")) and a.status == 200)
            eventually(lambda: (a := tried(found.port, "/-/ready")) and a.status == 200)
            _work(found)
            yield found
        except AssertionError as late:
            raise AssertionError(f"{late}\n{found.text()}") from None
        finally:
            found.close()


def _work(on: Scraped) -> None:
    """Jobs of every kind of end, in front of Prometheus' eyes: something of each is seen to grow."""
    queue = on.app.queue("q")
    queue.add("works", {"n": -1}).result(timeout="20s")
    eventually(lambda: on.query("jobd_jobs_total") or None)
    ended = [queue.add("works", {"n": n}) for n in range(50)]
    ended += [queue.add("fails"), queue.add("ends_its_process")]
    eventually(lambda: all(job.state() in ("completed", "dead") for job in ended))
    seen = 'jobd_jobs_total{task="works", outcome="completed"}'
    eventually(lambda: on.query(f"{seen} >= 51") or None)
    eventually(lambda: on.query(f"increase({seen}[30s]) > 0") or None)


live = [
    pytest.mark.chaos,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="no prometheus here"),
]


def marked(test: Any) -> Any:
    for mark in live:
        test = mark(test)
    return test


@marked
def test_what_is_named_is_in_the_exposition_of_a_daemon(scraped: Scraped) -> None:
    """Not only in the table."""
    found = Exposition(ask(scraped.web, "/metrics").body)
    samples = {name for name, _ in found.values}
    wanted = {metric for each in (*SHOWN, *RULED) for metric in named(each).chosen}

    assert wanted - samples - set(RECORDED) - {"up", "ALERTS"} - set(MAY_BE_EMPTY) == set()


@marked
@pytest.mark.parametrize("expression", SHOWN)
def test_what_the_dashboard_asks_is_answered(scraped: Scraped, expression: str) -> None:
    """Without error or warning, and not with nothing where there must be something."""
    if any(metric in expression for metric in MAY_BE_EMPTY):
        scraped.query(expression)
        return
    found = eventually(lambda: scraped.query(expression) or None)
    assert [each for each in found if each["value"][1] == "NaN"] == []


@marked
def test_all_rules_are_evaluated_without_an_error(scraped: Scraped) -> None:
    """And the one that has cause to fires: jobs are dead."""

    def rules() -> list[dict[str, Any]] | None:
        groups = ask(scraped.port, "/api/v1/rules").json["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else None

    found = eventually(rules)

    assert {rule["name"]: rule.get("lastError") for rule in found if rule["health"] != "ok"} == {}
    assert len(found) == len(RULED)
    firing = {rule["name"] for rule in found if rule.get("state") == "firing"}
    assert firing == {"JobdDead"}


@marked
def test_the_variables_have_values(scraped: Scraped) -> None:
    """What people choose from."""
    for variable in BOARD["templating"]["list"]:
        if variable["type"] != "query":
            continue
        [(series, label)] = re.findall(r"label_values\((.*), (\w+)\)", variable["definition"])
        assert {each["metric"][label] for each in scraped.query(series)}, variable["name"]
