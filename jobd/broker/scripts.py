"""The Lua scripts: read once, checked, loaded by content.

One file is one transition is one method of the store. A file's header is its contract and is read
here: the KEYS and ARGV lines name what the script gets, in order, and become its local variables,
so a call with the wrong number of either fails before Redis sees it. A file whose name begins with _
is no script: `_prelude` is put before every one, any other before those whose WITH line names it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files

_LUA = files("jobd.broker") / "lua"
_HEADER = re.compile(r"^-- (KEYS|ARGV|WITH|REPLY|REPLAY|WHY)\s+(.*)$")
_FIRST = re.compile(r"^-- ([a-z_]+): (.+)$")
_WORD = re.compile(r"\w+")
_LOCAL = re.compile(r"local (?:function )?(\w+)")
_BLOCK = re.compile(r"^(?=local )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Script:
    """One script: its contract, its text, and the hash Redis knows it by."""

    name: str
    edge: str
    keys: tuple[str, ...]
    args: tuple[str, ...]
    tail: bool
    reply: str
    replay: str
    source: str
    sha: str

    def command(self, keys: list[str], *args: str | bytes | int) -> list[str | bytes | int]:
        """Spell the EVALSHA of this script. Raises TypeError for a wrong number of anything."""
        fixed = len(self.args)
        if (
            len(keys) != len(self.keys)
            or len(args) < fixed
            or (len(args) > fixed and not self.tail)
        ):
            raise TypeError(
                f"script {self.name}: {len(keys)} keys and {len(args)} arguments; expected "
                f"KEYS {' '.join(self.keys)} and ARGV {' '.join(self.args)}"
            )
        return ["EVALSHA", self.sha, len(keys), *keys, *args]


def parse(name: str, text: str, shared: dict[str, str]) -> Script:
    """Read one file. `shared` is what scripts have in common, `_prelude` for all of them.

    Raises ValueError naming what its header lacks.
    """
    lines = text.splitlines()
    first = _FIRST.match(lines[0])
    fields = {m[1]: m[2].strip() for line in lines if (m := _HEADER.match(line))}
    missing = {"KEYS", "ARGV", "REPLY", "REPLAY", "WHY"} - fields.keys()
    if first is None or first[1] != name or missing:
        lacking = ", ".join(sorted(missing)) or f"first line '-- {name}: ...'"
        raise ValueError(f"script {name}: its header lacks {lacking}")
    keys = tuple(_variable(word) for word in fields["KEYS"].split())
    words = fields["ARGV"].split()
    tail = words[-1].endswith("...")
    args = tuple(words[:-1] if tail else words)
    names = [*(f"local {k} = KEYS[{i}]" for i, k in enumerate(keys, 1))]
    names += [f"local {a} = ARGV[{i}]" for i, a in enumerate(args, 1)]
    if tail:
        names.append(f"local {words[-1][:-3]}_at = {len(words)}")
    parts = [shared["_prelude"], *(shared[f"_{part}"] for part in fields.get("WITH", "").split())]
    source = "\n".join([_needed("\n".join(parts), text), " ".join(names), text])
    return Script(
        name=name,
        edge=first[2],
        keys=keys,
        args=args,
        tail=tail,
        reply=fields["REPLY"],
        replay=fields["REPLAY"],
        source=source,
        sha=hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest(),
    )


def _needed(shared: str, text: str) -> str:
    """Give the functions and constants that a script uses, by itself or through one another.

    Redis makes each of them anew at every call, so what is not used would cost every job a little.
    """
    wanted = set(_WORD.findall(_without_comments(text)))
    kept = []
    for block in reversed(_BLOCK.split(shared)):
        named = _LOCAL.match(block)
        if named is not None and named[1] in wanted:
            wanted |= set(_WORD.findall(block))
            kept.append(block.rstrip("\n"))
    return "\n".join(reversed(kept))


def _without_comments(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))


def _variable(word: str) -> str:
    return word[:-2] + "_prefix" if word.endswith(":*") else word


def _read_all() -> dict[str, Script]:
    texts = {
        entry.name.removesuffix(".lua"): entry.read_text("utf-8")
        for entry in _LUA.iterdir()
        if entry.name.endswith(".lua")
    }
    # Comments are for readers of the file; Redis keeps each script's text, so it gets none.
    shared = {name: _without_comments(text) for name, text in texts.items() if name.startswith("_")}
    return {
        name: parse(name, text, shared)
        for name, text in sorted(texts.items())
        if not name.startswith("_")
    }


SCRIPTS = _read_all()
BY_SHA = {script.sha: script for script in SCRIPTS.values()}
