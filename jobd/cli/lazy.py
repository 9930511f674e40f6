"""A group of commands that are imported when they are called: `jobd --help` loads none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from jobd.core.suggest import nearest


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module that holds it as `command`, and its line in the help."""

    module: str
    help: str


@dataclass(frozen=True, slots=True)
class Verbs:
    """A thing and what can be done with it: `jobd queues pause`. Alone, `jobd queues`, it is the first."""

    help: str
    entries: Mapping[str, Entry]


class Unread(Exception):
    """Whoever was to read what is printed (head, less) is gone. Not an OSError: click would make that 1."""


_HELP = ("-h", "--help")


class LazyGroup(click.Group):
    """Commands by name. The table's order is the help's order.

    `alone` is the one that is meant where none is named, with its options: `jobd jobs --state dead`.
    `more` stands below the list.
    """

    def __init__(
        self, *, name: str, help: str, table: Mapping[str, Entry | Verbs], alone: str | None = None,  # noqa: A002
        more: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            name,
            help=help,
            epilog=more,
            no_args_is_help=alone is None,
            context_settings={"help_option_names": list(_HELP)},
        )
        self._table = table
        self._alone = alone

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        del ctx
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is none of that name."""
        del ctx
        entry = self._table.get(cmd_name)
        if entry is None:
            return None
        if isinstance(entry, Verbs):
            alone = next(iter(entry.entries))
            text = f"{entry.help} Alone it is `jobd {cmd_name} {alone}`."
            return LazyGroup(name=cmd_name, help=text, table=entry.entries, alone=alone)
        command = import_module(entry.module).command
        assert isinstance(command, click.Command)
        return command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read a command line, which prints where help is asked for. Raises Unread."""
        try:
            return super().make_context(*args, **extra)
        except BrokenPipeError as error:
            raise Unread from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Raises Unread."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise Unread from error

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in that is meant where none is named."""
        named = args and (not args[0].startswith("-") or args[0] in _HELP)
        if self._alone is not None and not named and not ctx.resilient_parsing:
            args = [self._alone, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line, naming the nearest when there is none."""
        known = not args or args[0] in self._table or args[0].startswith("-")
        if not known and not ctx.resilient_parsing:  # the latter: a shell completes
            ctx.fail(
                f"{ctx.command_path} {args[0]}: no such command; "
                f"expected {', '.join(self._table)}{nearest(args[0], self._table)}"
            )
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a command's name from the table, and options as any command does."""
        options = click.Command.shell_complete(self, ctx, incomplete)
        alone = self._alone and self.get_command(ctx, self._alone)
        if alone and incomplete.startswith("-"):
            options = click.Command.shell_complete(alone, ctx, incomplete)
        return options + [
            CompletionItem(name, help=entry.help)
            for name, entry in self._table.items()
            if name.startswith(incomplete)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self._table.items()])
