"""The image: built by buildah from a base made here, and its command run as process 1.

There may be no registry of images, and no runtime that can start containers: so the base is a small
Debian made by mmdebstrap, and the command is run in namespaces of its own, on the built tree, read-only
but for the places that are meant to be written to, as the image's user and without any capability.
Where podman can start one, it does so besides.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.documents import block
from support.servers import eventually, running, server_programs

from jobd import Jobd
from jobd.cli import settings
from jobd.supervisor.fleet import Policy

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packaging" / "container"
APP = Path(__file__).with_name("served.py.txt")
NEEDED = ("buildah", "mmdebstrap", "unshare", "nsenter", "setpriv", "ip")
MISSING = next((name for name in NEEDED if shutil.which(name) is None), None)
if MISSING is None and os.getuid() != 0:
    MISSING = "root"
long = [
    pytest.mark.chaos,
    pytest.mark.timeout(900),
    pytest.mark.skipif(MISSING is not None, reason=f"no image can be built here: no {MISSING}"),
]


def marked(test: Any) -> Any:
    for mark in long:
        test = mark(test)
    return test


def test_hadolint_has_no_complaint() -> None:
    """Of the rules for Containerfiles."""
    hadolint = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if hadolint is None:
        pytest.skip("no hadolint here")
    said = subprocess.run(
        [hadolint, "Containerfile"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout) == (0, "")


def test_the_quick_try_keeps_to_what_the_image_is() -> None:
    """The grace is above the drain, the places to write are its user's, nothing is published to all."""
    yaml = pytest.importorskip("yaml", reason="no PyYAML here")
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]["jobd"]
    daemon = settings.read(FOLDER / "jobd.toml", url=None).daemon
    policy = Policy(lease=daemon.lease, drain_timeout=daemon.drain_timeout)

    own = daemon.drain_timeout + policy.ack_grace + policy.helper_grace
    assert float(service["stop_grace_period"].removesuffix("s")) > own
    # Not a tmpfs: podman's belongs to root, and nobody else may write there.
    assert f"runtime:{Path(str(daemon.runtime_dir)).parent}" in service["volumes"]
    assert service["tmpfs"] == ["/tmp"]
    assert [port for port in service["ports"] if not port.startswith("127.0.0.1:")] == []
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


class Image:
    """A built image, mounted."""

    def __init__(self, top: Path) -> None:
        self.store = ["--root", str(top / "store"), "--runroot", str(top / "run")]
        self._base(top / "base.tar")
        self.build("jobd", FOLDER / "Containerfile", ROOT, "--build-arg", "BASE=localhost/base")
        self.config = json.loads(self.buildah("inspect", "--type", "image", "jobd"))["Docker"][
            "config"
        ]
        self.root = Path(self.buildah("mount", self.buildah("from", "jobd")))

    def _base(self, tar: Path) -> None:
        """What the Containerfile takes for granted: a Debian with a Python that makes virtual environments.

        JOBD_TEST_BASE names one that was made before, as a tar.
        """
        if made := os.environ.get("JOBD_TEST_BASE"):
            shutil.copy(made, tar)
        else:
            self._bootstrap(tar)
        base = self.buildah("from", "scratch")
        self.buildah("add", base, str(tar), "/")
        # Where the image of Python has its own.
        self.buildah("run", "--isolation", "chroot", base, "--",
                     "ln", "-s", "/usr/bin/python3", "/usr/local/bin/python3")  # fmt: skip
        self.buildah("commit", base, "localhost/base")
        tar.unlink()

    def _bootstrap(self, tar: Path) -> None:
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase",
             "--include=python3,python3-venv,python3-pip,ca-certificates", "bookworm", str(tar)],
            check=True,
        )  # fmt: skip

    def build(self, name: str, file: Path, context: Path, *more: str) -> None:
        """Build an image, with this machine's settings for pip."""
        settings = [path for path in ("/etc/pip.conf", "/etc/ssl/certs") if Path(path).exists()]
        self.buildah(
            "build", "--isolation", "chroot", "--network", "host", "--format", "docker",
            *(f"--volume={path}:{path}:ro" for path in settings), *more,
            "--tag", name, "--file", str(file), str(context),
        )  # fmt: skip

    def buildah(self, *words: str) -> str:
        done = subprocess.run(
            ["buildah", *self.store, *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def size(self, name: str) -> int:
        [found] = json.loads(self.buildah("images", "--json", name))
        assert found["size"].endswith(" MB"), found["size"]
        return int(float(found["size"].removesuffix(" MB")))

    def close(self) -> None:
        self.buildah("umount", "--all")
        self.buildah("rm", "--all")
        self.buildah("rmi", "--all", "--force")


# Read-only but for what is meant to be written; the app and Redis' socket are brought in.
_ENTER = """
set -eu
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount --bind "$REDIS" mnt
mount --bind "$APP" app
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero random urandom; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/shm
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o gid=9180,mode=2777 tmpfs run/jobd  # as Kubernetes mounts an emptyDir
mount -t proc proc proc
mount -o remount,bind,ro "$ROOT"
ip link set lo up
exec chroot "$ROOT" setpriv --reuid="${IDS%:*}" --regid="${IDS#*:}" --clear-groups --no-new-privs \
    --bounding-set=-all --inh-caps=-all \
    env -i "$IMAGE_PATH" JOBD_REDIS_URL=unix:///mnt/redis.sock \
    sh -c 'cd "$0"; exec "$@"' "$WORKDIR" "$@"
"""


class Container:
    """The image's command as process 1, and where its app may see files of the test: /app."""

    def __init__(self, image: Image, top: Path, redis: Path, app: Path = APP) -> None:
        self.image = image
        self.app = top / "app"
        self.app.mkdir()
        shutil.copy(app, self.app / "app.py")
        config = image.config
        [path] = [line for line in config["Env"] if line.startswith("PATH=")]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(image.root), "REDIS": str(redis),
            "APP": str(self.app), "IMAGE_PATH": path, "IDS": config["User"],
            "WORKDIR": config["WorkingDir"],
        }  # fmt: skip
        self._log = top / "log"
        with self._log.open("wb") as log:
            self.outside = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child",
                 "sh", "-c", _ENTER, "sh", *config["Entrypoint"], *config["Cmd"]],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self.init = eventually(self._init)

    def _init(self) -> int | None:
        assert self.outside.poll() is None, self.log()
        pid = self.outside.pid
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() or [None]
        return int(child) if child and Path(f"/proc/{child}/comm").read_text() == "jobd\n" else None

    def log(self) -> str:
        return self._log.read_text()

    def status(self, pid: int) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program beside it, as `podman exec` does."""
        uid, _, gid = self.image.config["User"].partition(":")
        return subprocess.run(
            ["nsenter", "-t", str(self.init), "--mount", "--pid", "--net", "--ipc", "--uts", "--root",
             "setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--",
             "env", *self.image.config["Env"],
             "JOBD_REDIS_URL=unix:///mnt/redis.sock", *argv],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def processes(self) -> list[tuple[str, str]]:
        """Give name and state of each process inside."""
        found = []
        for entry in Path(f"/proc/{self.init}/root/proc").iterdir():
            try:
                if entry.name.isdigit():
                    lines = (entry / "status").read_text().splitlines()
                    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
                    found.append((status["Name"], status["State"][0]))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
        return found

    def close(self) -> None:
        if self.outside.poll() is None:
            self.outside.kill()
        self.outside.wait()


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="jobd-image-") as name:
        built = Image(Path(name))
        try:
            yield built
        finally:
            built.close()


@pytest.fixture
def redis() -> Iterator[Path]:
    """A directory with the socket of a Redis that everybody may use."""
    with tempfile.TemporaryDirectory(prefix="jobd-redis-") as name:
        program = next(iter(server_programs().values()))
        with running(program, Path(name), "--unixsocketperm", "777"):
            Path(name).chmod(0o755)
            yield Path(name)


@contextlib.contextmanager
def started(image: Image, redis: Path, app: Path = APP) -> Iterator[Container]:
    with tempfile.TemporaryDirectory(prefix="jobd-container-") as name:
        Path(name).chmod(0o755)
        container = Container(image, Path(name), redis, app)
        try:
            yield container
        finally:
            container.close()


@pytest.fixture
def container(image: Image, redis: Path) -> Iterator[Container]:
    with started(image, redis) as container:
        yield container


@marked
def test_it_holds_jobd_and_nothing_to_build_it_with(image: Image) -> None:
    """No compiler, no checkout, no cache; and it is not much larger than what it stands on."""
    root = image.root
    names = ("cc", "gcc", "c++", "ld", "make", "git", "cargo")
    tools = [name for folder in ("usr/bin", "usr/local/bin", "opt/jobd/venv/bin") for name in names
             if (root / folder / name).exists()]  # fmt: skip
    assert tools == []
    assert not (root / "source").exists()
    assert not (root / "tmp/tools").exists()
    assert not (root / "root/.cache").exists()
    assert image.size("jobd") - image.size("base") < 60
    assert image.config["StopSignal"] == "SIGTERM"
    assert image.config["Labels"]["org.opencontainers.image.licenses"] == "MIT"


@marked
def test_as_process_1_it_works_as_nobody_in_particular(container: Container, redis: Path) -> None:
    """Ready by the image's own health check; jobs run; no right over anything."""
    check = container.image.config["Healthcheck"]["Test"][1:]
    eventually(lambda: container.inside(*check).returncode == 0)
    ready = [word.replace("/livez", "/readyz") for word in check]
    eventually(lambda: container.inside(*ready).returncode == 0)

    app = Jobd(url=f"unix://{redis}/redis.sock")
    found = app.queue("q").add("whereabouts").result(timeout="20s")

    assert found["uid"] == 9180
    status = container.status(container.init)
    assert status["NSpid"].split()[-1] == "1"
    assert {status[key] for key in ("CapEff", "CapPrm", "CapBnd")} == {"0" * 16}
    assert container.inside("touch", "/opt/jobd/x").returncode != 0
    said = json.loads(
        container.inside("jobd", "status", "-c", "/etc/jobd/jobd.toml", "--json").stdout
    )
    assert said["daemon"]["running"] is True


@marked
def test_what_is_left_to_process_1_is_reaped(container: Container, redis: Path) -> None:
    """Orphans of tasks leave no zombie, and do not disturb the daemon."""
    app = Jobd(url=f"unix://{redis}/redis.sock")
    app.queue("q").add("leaves_orphans", {"count": 20}).result(timeout="30s")

    def only_its_own() -> bool:
        processes = container.processes()
        return "sleep" not in dict(processes) and "Z" not in [state for _, state in processes]

    eventually(only_its_own)
    assert container.outside.poll() is None


@marked
def test_term_drains_and_ends_it_well(container: Container, redis: Path) -> None:
    """The running job is finished, the next one is left for others, the exit status is 0."""
    app = Jobd(url=f"unix://{redis}/redis.sock")
    queue = app.queue("q")
    job = queue.add("waits_for", {"path": "/app/go"})
    eventually(lambda: job.state() == "active")
    os.kill(container.init, getattr(signal, container.image.config["StopSignal"]))
    eventually(lambda: "daemon.draining" in container.log())
    next_one = queue.add("whereabouts")
    (container.app / "go").touch()

    assert container.outside.wait(60) == 0, container.log()
    assert (job.state(), next_one.state()) == ("completed", "waiting")


@marked
def test_the_quick_try_gives_what_it_promises(image: Image, redis: Path) -> None:
    """The app and the program of compose.yaml."""
    with started(image, redis, FOLDER / "try" / "app.py") as container:
        shutil.copy(FOLDER / "try" / "add.py", container.app)
        done = container.inside("python3", "/app/add.py")

    assert done.stdout.splitlines() == [f"welcome, {n}" for n in range(10)], done.stderr


@marked
def test_an_applications_image_is_made_from_it(image: Image, tmp_path: Path) -> None:
    """As packaging/README.md says; the app's libraries go beside jobd's."""
    (tmp_path / "Containerfile").write_text(block("packaging/README.md", "FROM localhost/jobd"))
    (tmp_path / "requirements.txt").write_text("iniconfig\n")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "jobs.py").write_text(
        "import iniconfig\nfrom jobd import Jobd\napp = Jobd()\nq = app.queue('q')\n"
        "@q.task()\ndef t() -> None: ...\n"
    )
    (tmp_path / "jobd.toml").write_text('app = "shop.jobs:app"\n')
    image.build("shop", tmp_path / "Containerfile", tmp_path)

    inside = image.buildah("from", "shop")
    said = image.buildah(
        "run", "--isolation", "chroot", inside, "--", "jobd", "check", "-c", "/etc/jobd/jobd.toml"
    )

    assert "/etc/jobd/jobd.toml: good" in said
    config = json.loads(image.buildah("inspect", "--type", "image", "shop"))["Docker"]["config"]
    assert config["User"] == image.config["User"]


class Podman:
    """The program, over the store of an image."""

    def __init__(self, image: Image) -> None:
        # crun refuses a machine with both kinds of control groups; no limit may be raised in here.
        self._program = [
            "podman",
            "--runtime",
            "runc",
            "--cgroup-manager",
            "cgroupfs",
            *image.store,
        ]

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self._program, *words], capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0 or not check, done.stdout + done.stderr
        return done

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
        return self("run", *limits, "--network", "none", *words, check=check)


@pytest.fixture
def podman(image: Image) -> Podman:
    if shutil.which("podman") is None or shutil.which("runc") is None:
        pytest.skip("no podman with runc here")
    made = Podman(image)
    tried = made.run("--rm", "--entrypoint", "true", "localhost/jobd", check=False)
    if tried.returncode != 0:
        pytest.skip(f"podman starts nothing here: {tried.stderr[-300:]}")
    return made


@marked
def test_podman_starts_it_as_compose_says_and_stops_it_well(podman: Podman, redis: Path) -> None:
    """Read-only, without rights; on a volume that is root's; healthy; a stop waits for what runs."""
    app, runtime = redis / "app", redis / "runtime"
    app.mkdir()
    shutil.copy(APP, app / "app.py")
    runtime.mkdir()
    os.chown(runtime, 0, 9180)
    runtime.chmod(0o2777)  # as Kubernetes mounts an emptyDir
    podman.run(
        "--detach", "--name", "it", "--read-only", "--cap-drop", "ALL", "--tmpfs", "/tmp",
        "--security-opt", "no-new-privileges", "--volume", f"{runtime}:/run/jobd",
        "--volume", f"{redis}:/mnt", "--volume", f"{app}:/app",
        "--env", "JOBD_REDIS_URL=unix:///mnt/redis.sock", "localhost/jobd",
    )  # fmt: skip
    try:
        eventually(
            lambda: podman("healthcheck", "run", "it", check=False).returncode == 0, within=60
        )
        queue = Jobd(url=f"unix://{redis}/redis.sock").queue("q")
        assert queue.add("whereabouts").result(timeout="20s")["uid"] == 9180
        job = queue.add("waits_for", {"path": "/app/go"})
        eventually(lambda: job.state() == "active")
        with ThreadPoolExecutor(1) as threads:
            stopped = threads.submit(podman, "stop", "--time", "40", "it")
            eventually(lambda: "daemon.draining" in podman("logs", "it").stderr)
            (app / "go").touch()
            stopped.result()
        assert podman("inspect", "it", "--format", "{{.State.ExitCode}}").stdout == "0\n"
        assert job.state() == "completed"
    finally:
        podman("rm", "--force", "--time", "5", "it", check=False)
