"""How far long work is: shown to people at a terminal, and to nobody else."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def progress(label: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give what is called with how many more were done."""
    if quiet or not sys.stderr.isatty():
        yield lambda done: None  # noqa: ARG005  nobody is told
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield bar.update


@contextmanager
def remaining(label: str, left: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give what is called with how many are left, which may grow."""
    if quiet or not sys.stderr.isatty():
        yield lambda left: None  # noqa: ARG005  nobody is told
        return
    with click.progressbar(length=left, label=label, file=sys.stderr) as bar:
        last = left

        def show(left: int) -> None:
            nonlocal last
            if left > last:
                bar.length = (bar.length or 0) + left - last
            bar.update(max(0, last - left))
            last = left

        yield show


@contextmanager
def counter(label: str, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give what is called with how many more were done, where nobody knows of how many."""
    if quiet or not sys.stderr.isatty():
        yield lambda more: None  # noqa: ARG005  nobody is told
        return
    done = 0

    def update(more: int) -> None:
        nonlocal done
        done += more
        click.echo(f"\r{label}  {done}", nl=False, err=True)

    yield update
    click.echo(err=True)
