"""What is mistyped is answered: what it was, what was expected, what to do; by usage, with 64."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from jobd.cli.main import cli, main

SAID = {
    "enqueue": "QUEUE: missing; expected the name of a queue; `jobd queues list` lists them",
    "enqueue email": "TASK: missing; expected the name of a task, as in 'welcome-email'",
    "enqueue email t --priority high": "--priority: 'high'; expected a whole number, as in 5",
    "enqueue email t --priorty 3": "--priorty: no such option of jobd enqueue; did you mean '--priority'?",
    "enqueue email t --arg": "--arg: without a value; expected one behind it",
    "status now": "now: too much; expected no more than the usage says; drop it",
    "jobs show a b c": "b c: too much; expected no more than the usage says; drop it",
    "jobs list --state ded": "--state: 'ded'; expected one of waiting, delayed, active, completed, dead, "
    "cancelled; did you mean 'dead'?",
    "jobs list --limit 0": "--limit: 0; expected a number x with 1<=x<=10000",
    "jobs list -q": "-q: no such option of jobd jobs list; `jobd jobs list -h` lists them",
    "alerts mute x": "--for: missing; expected --for SPAN: For how long, as in 2h: 1m to 90d",
    "completion": "bash|zsh|fish: missing; expected one of bash, zsh, fish",
    # With a dash it may be a number, here.
    "scale q 1 --nonsense": "--nonsense: too much; expected no more than the usage says; drop it",
    "dev shop": "APP: 'shop'; expected module:attribute, as in 'shop.jobs:app'",
}  # fmt: skip


@pytest.mark.parametrize("line", SAID)
def test_a_mistake_is_answered(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(line.split()) == 64
    said = " ".join(capsys.readouterr().err.split())
    assert said.endswith(f"Error: {SAID[line]}")


def every(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Give the path of each command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from every(command, *path, name)
        else:
            yield (*path, name)


@pytest.mark.parametrize("path", [each for each in every(cli) if each != ("scale",)], ids=" ".join)
@pytest.mark.parametrize("wrong", ["--nonsense", "--nonsense=3"])
def test_of_every_command(
    path: tuple[str, ...], wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is not there, also with a value."""
    assert main([*path, wrong]) == 64
    assert f"--nonsense: no such option of jobd {' '.join(path)}" in " ".join(
        capsys.readouterr().err.split()
    )


def test_alone_it_shows_how_to_begin(capsys: pytest.CaptureFixture[str]) -> None:
    """No mistake is named."""
    assert main([]) == 64
    said = capsys.readouterr().err
    assert "Error" not in said
    assert "Begin with `jobd dev MODULE:APP`" in said
