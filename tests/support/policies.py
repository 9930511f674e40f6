"""Policies for tests: the built-in one, with some other rules of retention."""

from __future__ import annotations

from jobd.core.options import Policy, read_run_options, resolve


def keeping(**rules: dict[str, object]) -> Policy:
    """Give a policy with these rules: `keeping(completed={"age": "1h"})`."""
    return resolve(read_run_options({"retain": rules}, what="test"))


NOTHING = keeping(completed={"age": 0}, dead={"age": 0}, cancelled={"age": 0})
