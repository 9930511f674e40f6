"""The manifests for Kubernetes: valid by its own schemas, and their numbers agree with each other's."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.documents import block

from jobd.cli import settings
from jobd.core.config import Config
from jobd.supervisor.fleet import Policy

yaml = pytest.importorskip("yaml", reason="no PyYAML here")
FOLDER = Path(__file__).parents[2] / "packaging" / "kubernetes"
NO_SCHEMA = ("podmonitor.yaml", "kustomization.yaml", "prometheus-adapter.yaml")
BASE_MEMORY = 200e6  # supervisor, keeper, web and preloader with an ordinary application
PER_WORKER = 40e6  # beside what memory_limit counts, until a worker over it is replaced


def manifest(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text())


POD = manifest("deployment.yaml")["spec"]["template"]
[CONTAINER] = POD["spec"]["containers"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """What the daemon reads out of the ConfigMap; the Secret's variables are set."""
    for name, value in manifest("secret.yaml")["stringData"].items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "jobd.toml"
    path.write_text(manifest("configmap.yaml")["data"]["jobd.toml"])
    return settings.read(path, url=None)


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.yaml")))
def test_a_manifest_is_valid_and_without_unknown_keys(name: str) -> None:
    """By the schemas of Kubernetes itself; of the others there are none to be had."""
    if name in NO_SCHEMA:
        assert manifest(name)
        return
    validate = pytest.importorskip("kubernetes_validate", reason="no kubernetes-validate here")
    validate.validate(manifest(name), validate.latest_version(), strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")
def test_what_is_applied_is_all_of_them() -> None:
    """By the command of packaging/README.md, up to where it would ask a cluster."""
    typed = block("packaging/README.md", "kubectl apply -k").replace("apply -k", "kustomize")
    done = subprocess.run(
        typed.split(), cwd=FOLDER.parents[1], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made = {(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(done.stdout)}
    listed = manifest("kustomization.yaml")["resources"]
    assert made == {(each["kind"], each["metadata"]["name"]) for each in map(manifest, listed)}


def test_jobd_check_has_nothing_against_the_configuration(tmp_path: Path) -> None:
    """With an app of that name; and Redis' address is that of the Secret."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(
        "from jobd import Jobd\napp = Jobd()\nemail = app.queue('email')\n"
        "@email.task()\ndef welcome() -> None: ...\n"
    )
    (tmp_path / "jobd.toml").write_text(manifest("configmap.yaml")["data"]["jobd.toml"])
    checked = subprocess.run(
        [sys.executable, "-m", "jobd", "check", "-c", "jobd.toml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (checked.returncode, checked.stdout) == (0, "jobd.toml: good\n")


def test_a_pod_has_the_time_to_drain(config: Config) -> None:
    """The daemon's own bound, and some seconds for whoever stops the pod."""
    daemon = config.daemon
    policy = Policy(lease=daemon.lease, drain_timeout=daemon.drain_timeout)
    own = daemon.drain_timeout + policy.ack_grace + policy.helper_grace

    assert own + 5 <= POD["spec"]["terminationGracePeriodSeconds"] <= own + 30
    assert "lifecycle" not in CONTAINER


def test_probes_and_scrapes_come_to_where_the_daemon_serves(config: Config) -> None:
    """One port, by one name; /readyz decides over traffic and rollouts, and never over life."""
    [port] = CONTAINER["ports"]
    assert config.web.bind == f"0.0.0.0:{port['containerPort']}"
    gets = {probe: CONTAINER[probe]["httpGet"] for probe in
            ("startupProbe", "livenessProbe", "readinessProbe")}  # fmt: skip
    assert {get["port"] for get in gets.values()} == {port["name"]}
    assert [get["path"] for get in gets.values()] == ["/livez", "/livez", "/readyz"]
    [service] = manifest("service.yaml")["spec"]["ports"]
    assert service["targetPort"] == port["name"]
    [scraped] = manifest("podmonitor.yaml")["spec"]["podMetricsEndpoints"]
    assert (scraped["port"], scraped["path"]) == (port["name"], "/metrics")
    [ingress] = manifest("networkpolicy.yaml")["spec"]["ingress"]
    assert [each["port"] for each in ingress["ports"]] == [port["containerPort"]]


def test_all_speak_of_the_same_pods() -> None:
    """Selectors match what the Deployment makes."""
    labels = POD["metadata"]["labels"]
    selectors = [
        manifest("deployment.yaml")["spec"]["selector"]["matchLabels"],
        manifest("service.yaml")["spec"]["selector"],
        manifest("poddisruptionbudget.yaml")["spec"]["selector"]["matchLabels"],
        manifest("networkpolicy.yaml")["spec"]["podSelector"]["matchLabels"],
        manifest("podmonitor.yaml")["spec"]["selector"]["matchLabels"],
    ]
    assert [each for each in selectors if not each.items() <= labels.items()] == []
    target = manifest("hpa.yaml")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "jobd")
    listed = manifest("kustomization.yaml")["resources"]
    assert {*listed, "kustomization.yaml", "prometheus-adapter.yaml"} == {
        path.name for path in FOLDER.glob("*.yaml")
    }


def test_a_pod_has_memory_for_all_its_workers_at_their_limit(config: Config) -> None:
    """Or the kernel would end them before the daemon replaces them."""
    need = BASE_MEMORY
    for queue in config.queues.values():
        assert queue.processes is not None
        assert queue.memory_limit
        need += queue.processes.max * (queue.memory_limit + PER_WORKER)
    resources = CONTAINER["resources"]

    assert need <= mebibytes(resources["limits"]["memory"])
    assert mebibytes(resources["requests"]["memory"]) <= mebibytes(resources["limits"]["memory"])


def mebibytes(text: str) -> int:
    assert text.endswith("Mi")
    return int(text[:-2]) * 2**20


def test_what_the_daemon_writes_is_writable_and_nothing_else(config: Config) -> None:
    """The restricted profile of the pod security standards, with a read-only root besides."""
    pod, container = POD["spec"]["securityContext"], CONTAINER["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod["runAsUser"] > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    writable = {m["mountPath"] for m in CONTAINER["volumeMounts"] if "emptyDir" in kinds[m["name"]]}
    assert {"/run/jobd", "/tmp"} == writable
    # A volume is root's, and writable for the pod's group: the daemon refuses that for itself.
    assert config.daemon.runtime_dir == "/run/jobd/daemon"


def test_pods_are_added_by_the_metric_that_the_adapter_serves(config: Config) -> None:
    """By its name, of a queue that there is, and aggregated so that pods are not counted."""
    [metric] = manifest("hpa.yaml")["spec"]["metrics"]
    [rule] = manifest("prometheus-adapter.yaml")["rules"]["external"]
    assert metric["type"] == "External"
    name = metric["external"]["metric"]
    assert name["name"] == rule["name"]["as"] == "jobd_queue_waiting"
    assert name["selector"]["matchLabels"]["queue"] in config.queues
    assert rule["metricsQuery"].startswith("max by (queue) (")
