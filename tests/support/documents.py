"""The blocks of the README and of packaging/README.md, for the tests that carry them out.

Every block has a test that asks for it here by its words, so that what is tried is what people read;
`tests/house/test_documents.py` refuses one that nobody asks for. A block is what stands between fences,
or a piece that is indented by four and stands by itself.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = "README.md"
PACKAGING = "packaging/README.md"
_FENCED = re.compile(
    r"^(?P<in> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=in)```$", re.DOTALL | re.MULTILINE
)
_INDENTED = re.compile(r"(?<=\n\n)(?: {4,}\S.*\n|(?: *\n)+(?= {4,}\S))+")


class Block(NamedTuple):
    document: str
    line: int
    kind: str  # sh, python, toml, json, text; "" for an indented one
    text: str


class Command(NamedTuple):
    line: str
    prints: str  # what its comment says that it prints


def blocks(document: str) -> list[Block]:
    """Give all blocks of a document."""
    text = (ROOT / document).read_text()
    found = [
        Block(document, _line(text, each), each["kind"], textwrap.dedent(each["text"]))
        for each in _FENCED.finditer(text)
    ]
    bare = _FENCED.sub(lambda each: re.sub(r"[^\n]+", "", each[0]), text)
    found += [
        Block(document, _line(bare, each), "", textwrap.dedent(each[0]).strip("\n") + "\n")
        for each in _INDENTED.finditer(bare)
    ]
    return sorted(found)


def block(document: str, word: str) -> str:
    """Give the one block that holds a word, or is just that."""
    texts = [each.text for each in blocks(document)]
    found = [text for text in texts if text == word] or [text for text in texts if word in text]
    assert len(found) == 1, f"{document}: {len(found)} blocks hold {word!r}; expected 1"
    return found[0]


def blocks_of(document: str, kind: str, *, without: tuple[str, ...] = ()) -> list[str]:
    """Give those of a kind, but for those that hold one of some words."""
    return [
        each.text
        for each in blocks(document)
        if each.kind == kind and not any(word in each.text for word in without)
    ]


def commands(block: str) -> Iterator[Command]:
    """Give each command of a block, with what its comment says that it prints."""
    for line in block.replace("\\\n", " ").splitlines():
        command, _, comment = line.partition(" #")
        if command.strip() and not command.startswith("#"):
            yield Command(command.strip(), comment.partition("prints: ")[2])


def shape(text: str) -> str:
    """Blot out what differs from run to run: ids, instants, spans and numbers, and how columns align."""
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*", "<instant>", text)
    text = re.sub(r"\b[0-9a-f]{4,}(-[0-9a-f]{4,}){4}\b", "<id>", text)
    text = re.sub(r"\b[0-9a-f]{4}…", "<id>", text)
    text = re.sub(r"\b(\d[\d.]*(ms|h|m|s))+\b", "<span>", text)
    return re.sub(r" +", " ", re.sub(r"\d[\d.,]*", "#", text))


def _line(text: str, found: re.Match[str]) -> int:
    return text.count("\n", 0, found.start()) + 1
