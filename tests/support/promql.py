"""What a PromQL expression names: metrics with the labels they are chosen by, and labels it groups by."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SELECTOR = re.compile(r"\b((?:jobd|job_queue)[\w:]*|up|ALERTS)\b(?!\s*\()(?:\{([^}]*)\})?")
_GROUPS = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')


@dataclass(frozen=True)
class Named:
    """Of one expression: metric -> labels its series are chosen by, and labels to group by."""

    chosen: dict[str, frozenset[str]]
    grouped: frozenset[str]


def named(expression: str) -> Named:
    """Read an expression of ours."""
    grouped = {
        label.strip()
        for labels in _GROUPS.findall(expression)
        for label in labels.split(",")
        if label.strip()
    }
    chosen: dict[str, frozenset[str]] = {}
    for metric, matchers in _SELECTOR.findall(_GROUPS.sub("", expression)):
        chosen[metric] = chosen.get(metric, frozenset()) | set(_MATCHER.findall(matchers))
    return Named(chosen, frozenset(grouped))


def rule_expressions(text: str) -> list[str]:
    """Give the expressions in a rules file that has one key a line."""
    found = re.findall(r"^ {8}expr: (.*)\n((?: {10,}.*\n)*)", text, re.MULTILINE)
    return [(first if first != "|" else rest).strip() for first, rest in found]
