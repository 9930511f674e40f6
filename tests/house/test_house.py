"""The house rules that no linter knows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jobd
from jobd.core.states import EDGES, STATES

ROOT = Path(jobd.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def test_the_public_names_and_their_stub_are_the_same_list() -> None:
    """Type checkers read the stub, Python reads the table."""
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    typed = {
        (alias.name, node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert set(jobd._HOMES.items()) == typed
    for name in jobd._HOMES:
        assert getattr(jobd, name) is not None


def test_importing_jobd_loads_no_command_line_web_or_daemon() -> None:
    """A web process pays for adding jobs, and for nothing else."""
    code = (
        "import sys; from jobd import Jobd, Job; "
        "print(*(m for m in sys.modules if m.split('.')[0] in "
        "('jobd', 'click', 'rich', 'psutil', 'starlette', 'setproctitle')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = run.stdout.split()
    allowed = ("jobd.core", "jobd.seams", "jobd.broker", "jobd.client")
    assert [m for m in loaded if m != "jobd" and not m.startswith(allowed)] == []


def test_the_bare_package_does_not_load_redis() -> None:
    """The supervisor imports it and must stay deaf."""
    code = (
        "import sys, jobd, jobd.core.errors, jobd.seams.scoreboard; print('redis' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "False"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_says_what_it_is_for_and_stays_small(path: Path) -> None:
    """One duty a file: a docstring on top, at most 400 lines."""
    text = path.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 400


def test_every_edge_joins_known_states() -> None:
    """The table of transitions uses the words of the states."""
    ends = {end for edges in EDGES.values() for edge in edges for end in edge}

    assert ends - {None} <= set(STATES)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_constant_is_written_once(path: Path) -> None:
    """A merge that keeps both sides of one leaves the wrong one in force, and no linter sees it."""
    body = ast.parse(path.read_text()).body
    targets = [target for node in body if isinstance(node, ast.Assign) for target in node.targets]
    names = [each.id for each in targets if isinstance(each, ast.Name)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_who_reads_json_expects_all_that_reading_it_raises(path: Path) -> None:
    """Depth too, which is no error of msgspec's: one line of brackets once ended a supervisor."""
    if path.name == "unreadable.py":
        return
    caught = re.findall(r"except[^\n:]*msgspec\.(?:DecodeError|MsgspecError)", path.read_text())
    assert not caught, "expected UNREADABLE_JSON of jobd.core.unreadable"
