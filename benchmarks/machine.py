"""What this machine is, and how much of it others use. Used by the report and by drain runs."""

import os
import platform
import re
import shutil
import statistics
import subprocess
import time
from pathlib import Path

import psutil


def describe() -> str:
    """One line for the report: processor, cores, memory, kernel, Python."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _processor() -> str:
    """The model name, where the kernel tells it."""
    table = Path("/proc/cpuinfo")
    text = table.read_text(encoding="utf-8") if table.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named.group(1).strip() if named else platform.machine()


def checkout(root: Path) -> str:
    """The commit that was measured; says so when there are changes on top of it."""
    if shutil.which("git") is None or not (root / ".git").exists():
        return "unknown (no git checkout)"
    told = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty=, with changes"],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.strip() or "unknown (no commit yet)"


def redis_version() -> str:
    """``7.0.15``, of the redis-server on the PATH."""
    told = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True)
    named = re.search(r"v=(\S+)", told.stdout)
    return named.group(1) if named else told.stdout.strip()


def busy_seconds() -> float:
    """CPU seconds that anybody on this machine has used so far, stolen ones included."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq + times.steal)


def driver_cpu_seconds() -> float:
    """CPU seconds of this process."""
    return time.process_time()


def fsync_ms(directory: Path, tries: int = 20) -> float:
    """Median milliseconds of an append of 4 KiB made durable in ``directory``."""
    path = directory / "fsync-probe"
    taken = []
    with path.open("ab", buffering=0) as file:
        for _ in range(tries):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begun) * 1000)
    path.unlink()
    return statistics.median(taken)
