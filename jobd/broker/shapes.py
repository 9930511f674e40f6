"""Whether an answer is one that its script gives: what each replies, its header's REPLY line says.

Something else may answer in a server's place: a proxy in trouble, or a connection that is out of step
and holds another's answer. To take that for ours would be to say of a job what nobody knows. Cheap: a
few comparisons a call, whatever the number of jobs. Called wherever an answer to a script comes in.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from jobd.broker.new_job import NewJob, Terms
from jobd.broker.scripts import SCRIPTS, Script

# How many arguments of a call stand for a job, where its answer has a word for each; else it is its id.
_ARGUMENTS = {"add": len(NewJob._fields), "add_once": len(NewJob._fields) + len(Terms._fields)}
_FOR_EACH = re.compile(r", (?:a word an? \w+|where each .*)$|^an answer an id: ")
_MORE = re.compile(r"\(.*?\)\.\.\.|<[^>]*>\.\.\.")


class _Form(NamedTuple):
    """What a script answers. `words` are what an answer begins with, each with how many parts that makes,
    and in groups of how many more may come; where there are none, anything does. With `each`, there is such
    a word for every so many arguments, the first of which is in the place `first` of the call.
    """

    words: dict[bytes, tuple[int, int]]
    each: int
    first: int
    may_be_empty: bool


def is_sound(command: list[str | bytes | int], answer: Any) -> bool:
    """Say whether a call can have been answered so. What is no script's is believed."""
    form = _FORMS.get(command[1]) if len(command) > 2 else None
    if form is None:
        return True
    if type(answer) is not list:
        return False
    if form.each:
        asked = (len(command) - form.first) // form.each
        return len(answer) == asked and _are_all(form.words, answer)
    if not answer or not form.words:
        return bool(answer) or form.may_be_empty
    fixed, group = form.words.get(_head(answer[0]), (0, 0))
    more = len(answer) - fixed
    return fixed > 0 and (more == 0 or (more > 0 and group > 0 and more % group == 0))


def _are_all(words: dict[bytes, tuple[int, int]], answer: list[Any]) -> bool:
    try:
        if words.keys() >= set(answer):
            return True
    except TypeError:  # rows of words
        pass
    return all(_head(part) in words for part in answer)


def _head(part: Any) -> bytes:
    """Give the word of a part: it, what it begins with, or the first of a row."""
    if type(part) is list:
        part = part[0] if part else b""
    return part.partition(b" ")[0] if type(part) is bytes else b""


def _form(script: Script) -> _Form:
    """Read what is said in a script's header."""
    said, for_each = _FOR_EACH.subn("", script.reply.partition("; the error ")[0])
    anything = said.startswith(("<", "for each: "))
    return _Form(
        words={} if anything else dict(map(_alternative, said.split(" | "))),
        each=_ARGUMENTS.get(script.name, 1) if for_each else 0,
        first=3 + len(script.keys) + len(script.args),
        may_be_empty=said.startswith("for each: ") or said.endswith(", or nothing"),
    )


def _alternative(said: str) -> tuple[bytes, tuple[int, int]]:
    """Read one of them: its word, of how many parts it is at least, and how many more come at once."""
    fixed, more = _MORE.sub("", said), _MORE.search(said)
    return said.split(maxsplit=1)[0].encode(), (
        1 + fixed.count("<"),
        more[0].count("<") if more else 0,
    )


_FORMS: dict[str | bytes | int, _Form] = {script.sha: _form(script) for script in SCRIPTS.values()}
