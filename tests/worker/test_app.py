"""What a module may do when it is imported, and how that is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jobd.core.errors import ConfigError
from jobd.worker.app import load_app

UNSPEAKABLE = """
class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no text")
raise Unspeakable
"""
OF_NO_KIND = "class Odd(BaseException): pass\nraise Odd('strange')"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (UNSPEAKABLE, r"Unspeakable \(its text raised RuntimeError\)"),
        (OF_NO_KIND, "Odd: strange"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise GeneratorExit", "GeneratorExit"),
    ],
)
def test_whatever_an_import_raises_is_told_in_a_paragraph(
    source: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what is no Exception, and what has no text."""
    (tmp_path / "odd_shop.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "odd_shop", raising=False)
    with pytest.raises(ConfigError, match=f"'odd_shop:app' does not load: {said}"):
        load_app("odd_shop:app")
