"""The peers' own environments, in a cache directory that git does not see.

Invariant: nothing is installed into the environment that runs the suite. A peer that cannot be had
is a sentence instead of a path, and the suite goes on without it.
"""

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
INSTALL_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Peers:
    """Where the peers are: a path, or why there is none.

    Attributes:
        python: the interpreter of the environment with dramatiq.
        node: the node_modules with bullmq.
        versions: name to version of everything measured.
    """

    python: Path | str
    node: Path | str
    versions: Mapping[str, str]


def prepare(cache: Path, say: Callable[[str], None]) -> Peers:
    """Install what is not there yet; a few seconds the first time, nothing after that."""
    python = _attempt(lambda: _python(cache / "python", say))
    node = _attempt(lambda: _node(cache / "node", say))
    return Peers(python, node, _versions(python, node))


def none() -> Peers:
    """No peers, for measures of jobd alone."""
    why = "not wanted in this run"
    return Peers(why, why, _versions(why, why))


def _attempt(install: Callable[[], Path]) -> Path | str:
    try:
        return install()
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        return f"cannot be installed here: {' '.join(str(said).split())[-300:]}"


def _python(home: Path, say: Callable[[str], None]) -> Path:
    python = home / "bin" / "python"
    wanted = HERE / "requirements.txt"
    if not _is_fresh(home, wanted):
        say("installing dramatiq into an environment of its own")
        _run([sys.executable, "-m", "venv", "--clear", str(home)])
        _run([str(python), "-m", "pip", "install", "--quiet", "-r", str(wanted)])
        _mark(home, wanted)
    return python


def _node(home: Path, say: Callable[[str], None]) -> Path:
    wanted = HERE / "peers" / "package.json"
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise FileNotFoundError(f"{program} is not on the PATH")
    if not _is_fresh(home, wanted):
        say("installing bullmq into a node_modules of its own")
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(wanted, home / "package.json")
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(home)])
        _mark(home, wanted)
    return home / "node_modules"


def _is_fresh(home: Path, wanted: Path) -> bool:
    stamp = home / ".installed"
    return stamp.exists() and stamp.read_text(encoding="ascii") == _digest(wanted)


def _mark(home: Path, wanted: Path) -> None:
    (home / ".installed").write_text(_digest(wanted), encoding="ascii")


def _digest(wanted: Path) -> str:
    return hashlib.sha256(wanted.read_bytes()).hexdigest()


def _run(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    return done.stdout


def _versions(python: Path | str, node: Path | str) -> dict[str, str]:
    ours = {name: importlib.metadata.version(name) for name in ("jobd", "redis", "hiredis")}
    if isinstance(python, Path):
        code = "from importlib.metadata import version as v; print(v('dramatiq'), v('redis'))"
        dramatiq, client = _run([str(python), "-c", code]).split()
        ours["dramatiq"] = f"{dramatiq} (redis-py {client})"
    if isinstance(node, Path):
        package = json.loads((node / "bullmq" / "package.json").read_text(encoding="utf-8"))
        ours["bullmq"] = str(package["version"])
        ours["node"] = _run(["node", "--version"]).strip().lstrip("v")
    return ours
