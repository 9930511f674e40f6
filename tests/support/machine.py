"""A machine for a test: a real systemd as PID 1 of private namespaces, on a throw-away copy of `/`.

The copy is an overlay whose upper layer is memory; mounts, processes, network and host name are its
own, so nothing it does is seen outside, and killing its PID 1 ends all of it. Needs root, systemd,
overlayfs and a cgroup2 mount: `lacking` says what is missing here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from support.servers import eventually

SYSTEMD = Path("/lib/systemd/systemd")
# Services of the copied machine that have no business in a test's.
_MASKED = (
    "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-timesyncd.service",
    "systemd-networkd.service", "systemd-resolved.service", "systemd-logind.service",
    "systemd-firstboot.service", "getty.target", "dev-hugepages.mount", "dev-mqueue.mount",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
)  # fmt: skip

_BOOT = """
set -eu
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=512m tmpfs "$TOP"
mkdir "$TOP/upper" "$TOP/work" "$TOP/root"
ROOT="$TOP/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$TOP/upper,workdir=$TOP/work" "$ROOT"
mount -t proc -o nosuid,nodev,noexec proc "$ROOT/proc"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$ROOT/sys"
mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate none "$ROOT/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$ROOT/dev"
for node in null zero full random urandom tty; do
    touch "$ROOT/dev/$node"
    mount --bind "/dev/$node" "$ROOT/dev/$node"
done
mkdir "$ROOT/dev/pts" "$ROOT/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$ROOT/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$ROOT/dev/shm"
ln -s pts/ptmx "$ROOT/dev/ptmx"
ln -s /proc/self/fd "$ROOT/dev/fd"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$ROOT/run"
while read -r from to; do
    if [ -d "$from" ]; then mkdir -p "$ROOT$to"; else mkdir -p "$(dirname "$ROOT$to")"; touch "$ROOT$to"; fi
    mount --bind "$from" "$ROOT$to"
done < "$BINDS"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$ROOT/tmp"
rm -rf "$ROOT"/etc/systemd/system/*.wants
: > "$ROOT/etc/fstab"
: > "$ROOT/etc/machine-id"
for unit in $MASKED; do ln -sf /dev/null "$ROOT/etc/systemd/system/$unit"; done
cp -a "$FILES/." "$ROOT/"
chmod 755 "$ROOT"
hostname jobd-test
mkdir "$ROOT/.old"
cd "$ROOT"
pivot_root . .old
umount -l /.old
mount --make-rshared /
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=jobd-test \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal-or-kmsg < /dev/null
"""


def lacking() -> str | None:
    """Name what is missing for a machine here; None when there is everything."""
    if os.getuid() != 0:
        return "not root"
    if not SYSTEMD.exists():
        return "no systemd installed"
    for program in ("unshare", "nsenter", "pivot_root", "systemctl"):
        if shutil.which(program) is None:
            return f"no {program}"
    if "\toverlay" not in Path("/proc/filesystems").read_text():
        return "no overlayfs in this kernel"
    if _cgroups() is None:
        return "no cgroup2 mounted"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "--make-rprivate", "/"],
        capture_output=True, check=False,
    )  # fmt: skip
    return None if tried.returncode == 0 else "namespaces cannot be made here"


def _cgroups() -> Path | None:
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return None


class Machine:
    """One booted system. `files` is laid over its root; `binds` are mounted into it."""

    def __init__(self, top: Path, files: Path, binds: dict[Path, str]) -> None:
        cgroups = _cgroups()
        assert cgroups is not None
        self._cgroup = cgroups / f"jobd-test-{os.getpid()}"
        self._cgroup.mkdir()
        self._log = top / "boot.log"
        (top / "space").mkdir()
        (top / "binds").write_text("".join(f"{src} {dst}\n" for src, dst in binds.items()))
        (top / "boot.sh").write_text(_BOOT)
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TOP": str(top / "space"),
            "FILES": str(files), "BINDS": str(top / "binds"), "MASKED": " ".join(_MASKED),
        }  # fmt: skip
        enter = f'echo $$ > "{self._cgroup}/cgroup.procs"; exec "$@"'
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--fork"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, "sh", "unshare", *spaces, "--kill-child",
                 "sh", str(top / "boot.sh")],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            self._init = eventually(self._init_pid)
            bus = Path(f"/proc/{self._init}/root/run/systemd/private")
            eventually(lambda: bus.exists() or self._over())
            self.run("systemctl", "is-system-running", "--wait", check=False)
        except BaseException:
            self.close()
            raise

    def run(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a program inside, as root."""
        spaces = ("--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd")
        done = subprocess.run(
            ["nsenter", "-t", str(self._init), *spaces, "--", *argv],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER": ""},
            capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0 or not check, f"{argv}: {done.stdout}{done.stderr}"
        return done

    def path(self, inside: str) -> Path:
        """Name a file inside from outside."""
        return Path(f"/proc/{self._init}/root{inside}")

    def close(self) -> None:
        """End everything inside, and take the control group away."""
        self._process.kill()  # its child, PID 1 of the machine, dies with it
        self._process.wait()
        until = time.monotonic() + 10
        while self._cgroup.exists() and time.monotonic() < until:
            for folder, _, _ in os.walk(self._cgroup, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    time.sleep(0.05)

    def _init_pid(self) -> int | None:
        self._over()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return int(pid)
        return None

    def _over(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return False
