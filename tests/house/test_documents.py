"""Every block that people are shown is carried out by a test, or is on this short list with the reason.

A test that carries one out asks `support.documents` for it by its words: those questions are read here,
out of the tests' source.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import documents
from support.documents import PACKAGING, README, Block, blocks

TESTS = Path(__file__).parents[1]
# What no test carries out, by its first words, and why.
NOT_CARRIED_OUT = {
    (README, "jobd/\n  core/"): "a map; test_readme.py looks whether each directory is there",
    (
        PACKAGING,
        "podman build",
    ): "needs an image of Python; test_container.py builds on a base of its own",
    (
        PACKAGING,
        "podman-compose",
    ): "needs two images; test_container.py starts what it names, one by one",
}


def questions() -> Iterator[ast.Call]:
    """Give each question for a block."""
    for path in sorted(TESTS.rglob("test_*.py")):
        if "support.documents" not in (text := path.read_text()) or path == Path(__file__):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _called(node) in ("block", "blocks_of"):
                yield node


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def asked_for() -> set[str]:
    """Give the text of each block that a test asks for."""
    found: set[str] = set()
    for call in questions():
        words = [ast.literal_eval(each) for each in call.args]
        more = {each.arg: ast.literal_eval(each.value) for each in call.keywords if each.arg}
        answer = getattr(documents, _called(call))(*words, **more)
        found |= {answer} if isinstance(answer, str) else set(answer)
    return found


ASKED_FOR = asked_for()


def on_the_list(block: Block) -> bool:
    return any(
        block.document == document and block.text.startswith(words)
        for document, words in NOT_CARRIED_OUT
    )


@pytest.mark.parametrize(
    "block", [*blocks(README), *blocks(PACKAGING)], ids=lambda b: f"{b.document}:{b.line}"
)
def test_a_block_is_carried_out_or_says_why_not(block: Block) -> None:
    """One or the other."""
    assert (block.text in ASKED_FOR) != on_the_list(block), block.text


def test_the_list_is_of_blocks_that_there_are() -> None:
    """And it stays short."""
    first = [(each.document, each.text) for each in (*blocks(README), *blocks(PACKAGING))]
    for document, words in NOT_CARRIED_OUT:
        assert [text for name, text in first if name == document and text.startswith(words)], words
    assert len(NOT_CARRIED_OUT) <= 6
