"""The unit in a real systemd: readiness, drain, restart, reload, upgrade, and what jobs may do."""

from __future__ import annotations

import time

from support.servers import eventually
from support.unit import Service

# Refused by the unit, on purpose. Everything else an ordinary job does works.
REFUSED = {
    "list /home", "write /etc", "write its own code", "new user namespace", "set the setuid bit",
    "raise its own priority", "a raw socket", "set the clock",
}  # fmt: skip


def test_an_ordinary_job_may_do_what_jobs_do(service: Service) -> None:
    """A battery of actions inside the unit's walls: what is refused is known by name."""
    outcome: dict[str, str] = service.add("battery").result()

    assert {name for name, said in outcome.items() if said != "ok"} == REFUSED, outcome


def test_it_is_ready_when_the_app_is_loaded_and_workers_run(service: Service) -> None:
    """`systemctl start` returns then and not before: an import that hangs keeps it waiting."""
    service.systemctl("stop")
    service.touch("/opt/jobd/hold")
    service.systemctl("start", "--no-block")
    eventually(lambda: "preloader" in service.machine.run("ps", "ax").stdout)
    assert service.show("ActiveState") == "activating"
    eventually(lambda: service.show("StatusText") == "starting: 0 of 2 workers")

    service.machine.path("/opt/jobd/hold").unlink()
    service.becomes("active")

    eventually(lambda: service.show("StatusText") == "running: 2 of 2 workers")
    assert service.add("double", n=21).result() == 42


def test_the_doctor_finds_the_unit_and_nothing_wrong_with_it(service: Service) -> None:
    """It asks systemd about the service that the daemon's control group names."""
    checks = service.jobd("doctor", "--runtime-dir", "/run/jobd")["checks"]

    found = {check["name"]: check for check in checks}
    assert found["stop.systemd"]["level"] == "ok", found["stop.systemd"]
    assert "jobd.service" in found["stop.systemd"]["found"]
    assert not {"stop.kill_mode", "stop.watchdog", "stop.oom_policy"} & set(found)
    assert found["daemon.running"]["level"] == "ok", found["daemon.running"]
    assert [check for check in checks if check["level"] == "error"] == []


def test_a_reload_takes_new_code_over_or_fails_and_changes_nothing(service: Service) -> None:
    """`systemctl reload` returns when new workers are up; main process and what runs stay."""
    code = service.machine.path("/opt/jobd/shop.py")
    good = code.read_text()
    job = service.running("waits_for", path="/var/lib/jobd/old")
    pid = service.show("MainPID")
    try:
        code.write_text(good.replace("return 2 * n", "return 3 * n") + "\n")
        assert service.systemctl("reload") == 0
        assert service.add("double", n=7).result() == 21
        code.write_text("import nowhere")
        assert service.systemctl("reload", check=False) != 0
        assert service.show("ActiveState") == "active"
        eventually(lambda: "the last reload was refused" in service.show("StatusText"))
        assert service.add("double", n=7).result() == 21
    finally:
        code.write_text(good)
    service.touch("/var/lib/jobd/old")
    job.result()
    assert service.show("MainPID") == pid


def test_an_upgrade_loses_nothing(service: Service) -> None:
    """New code and `systemctl restart`: what runs ends in the old, what waits runs in the new."""
    code = service.machine.path("/opt/jobd/shop.py")
    good = code.read_text()
    running = [service.running("waits_for", path="/var/lib/jobd/up") for _ in range(2)]
    waiting = [service.add("double", n=n) for n in range(200)]
    try:
        code.write_text(good.replace("return 2 * n", "return 5 * n") + "\n")
        service.systemctl("restart", "--no-block")
        service.becomes("deactivating")
        service.touch("/var/lib/jobd/up")
        assert [job.result() for job in waiting] == [5 * n for n in range(200)]
    finally:
        code.write_text(good)
    for job in running:
        job.result()
        info = job.info()
        assert info is not None
        assert (info.lost, info.crashes, info.interrupted, info.failed) == (0, 0, 0, 0)


def test_a_stop_drains(service: Service) -> None:
    """What runs may end, and the daemon asks for the time it takes, again and again: how long that may
    be is its own to bound. The service then ends well, with nothing left claimed."""
    with service.override("[Service]\nTimeoutStopSec=2s\n"):
        job = service.running("waits_for", path="/var/lib/jobd/go")
        service.systemctl("stop", "--no-block")
        service.becomes("deactivating")
        until = time.monotonic() + 3.5
        eventually(lambda: time.monotonic() > until)
        assert service.show("ActiveState") == "deactivating"
        assert service.show("StatusText").startswith("stopping: ")
        service.touch("/var/lib/jobd/go")
        service.becomes("inactive")

    assert (service.show("Result"), job.state()) == ("success", "completed")


def test_a_killed_supervisor_is_back_and_its_jobs_run_at_once(service: Service) -> None:
    """The runtime directory outlives it, so nobody waits for a lease of 30 s to end."""
    job = service.running("waits_for", path="/var/lib/jobd/later")
    before = {worker.pid for worker in service.workers()}
    found = service.show("MainPID", "NRestarts")
    service.machine.run("kill", "-KILL", found["MainPID"])
    eventually(lambda: service.show("MainPID") not in ("0", found["MainPID"]))
    after = service.settled(2)
    service.touch("/var/lib/jobd/later")

    job.result()

    info = job.info()
    assert info is not None
    assert (info.state, info.lost, info.crashes) == ("completed", 1, 0)
    assert info.finished_at is not None
    assert info.enqueued_at is not None
    assert info.finished_at - info.enqueued_at < 25_000
    assert service.show("NRestarts") == str(int(found["NRestarts"]) + 1)
    assert not before & {worker.pid for worker in after}


def test_a_supervisor_that_hangs_is_restarted_and_no_job_is_lost(service: Service) -> None:
    """The watchdog hears its loop, and nobody else."""
    with service.override("[Service]\nWatchdogSec=2s\n"):
        service.systemctl("restart")
        job = service.running("waits_for", path="/var/lib/jobd/hung")
        pid = service.show("MainPID")
        service.machine.run("kill", "-STOP", pid)
        eventually(lambda: service.show("MainPID") not in ("0", pid))
        service.touch("/var/lib/jobd/hung")
        job.result()
    said = service.journal("--grep", "(?i)watchdog")
    assert any("Watchdog timeout" in line["MESSAGE"] for line in said)
    info = job.info()
    assert info is not None
    assert (info.state, info.lost, info.crashes) == ("completed", 1, 0)


def test_what_cannot_be_served_is_not_tried_again(service: Service) -> None:
    """`systemctl start` fails, says why in the journal, and systemd leaves it at that."""
    service.systemctl("stop")
    code = service.machine.path("/opt/jobd/shop.py")
    good = code.read_text()
    code.write_text("import nowhere")
    since = service.now()
    try:
        assert service.systemctl("start", check=False) != 0
        found = service.show("ExecMainStatus", "NRestarts", "ActiveState")
        assert found == {"ExecMainStatus": "78", "NRestarts": "0", "ActiveState": "failed"}
    finally:
        code.write_text(good)
    said = [
        line for line in service.journal("--since", since)
        if "No module named 'nowhere'" in line["MESSAGE"]
    ]  # fmt: skip
    assert {(line["PRIORITY"], line["SYSLOG_IDENTIFIER"]) for line in said} == {("3", "jobd")}
