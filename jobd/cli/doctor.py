"""`jobd doctor`: is everything as it should be, and what is to be done where it is not?"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections import Counter

import click

from jobd.broker import acl
from jobd.cli import in_force, settings
from jobd.cli.doctor_facts import Section, broken, examine
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json, printable
from jobd.core.config import Config
from jobd.core.doctor.exit_code import exit_code
from jobd.core.doctor.finding import Finding, Level
from jobd.core.errors import ConfigError

_MARKS: dict[Level, tuple[str, str | None]] = {
    "ok": ("ok", "green"), "note": ("note", None), "warning": ("warning", "yellow"), "error": ("error", "red"),
}  # fmt: skip
_INDENT = 10


@click.command("doctor")
@click.option(
    "--acl",
    "shows_acl",
    is_flag=True,
    help="Only print the Redis users that the roles need, as ACL SETUSER commands.",
)
@click.option("-q", "--quiet", is_flag=True, help="Only what is not as it should be.")
@config_option
@url_option
@runtime_option
@json_option
def command(
    shows_acl: bool,
    quiet: bool,
    config_file: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> int:
    """Look for what is wrong or will be, and say what to do.

    Looks at the configuration and what contradicts it in systemd and the machine, the runtime directory,
    the daemon, Redis, other hosts, and what dead daemons have left. Changes nothing. Warnings
    and notes are no errors. Exits with 0 without an error, and else by the first that is one of these: 78,
    the configuration, or what it needs of this machine; 77, Redis does not permit it; 69, Redis cannot be
    reached, or jobs cannot rely on it; 70, the daemon, or what others have left.
    """
    file = settings.find_file(config_file)
    if shows_acl:
        return _print_users(
            in_force.find(config_file, url=redis_url, runtime_dir=runtime_dir).config
        )
    try:
        sections = examine(in_force.find(config_file, url=redis_url, runtime_dir=runtime_dir), file)
    except ConfigError as bad:  # and no daemon runs with an earlier one
        sections = [("configuration", broken(bad.problems))]
    counts = Counter(finding.level for _, findings in sections for finding in findings)
    if as_json:
        checks = [
            {
                "section": name,
                "name": each.name,
                "level": each.level,
                "found": each.found,
                "do": each.do,
            }
            for name, findings in sections
            for each in findings
        ]
        good = not counts["error"]
        print_json(
            {"ok": good, "errors": counts["error"], "warnings": counts["warning"], "checks": checks}
        )
    else:
        _print(sections, quiet=quiet)
        click.echo(_summary(counts))
    return exit_code(finding for _, findings in sections for finding in findings)


def _print_users(config: Config) -> int:
    """Print a user for each role, for the namespace in force. No server is asked."""
    for role, needs in acl.ROLES.items():
        click.echo(f"# {role}: {needs.what_for}")
        click.echo(acl.line(role, config.redis.namespace, before_setinfo=True) + "\n")
    click.echo(acl.SETINFO_NOTE)
    return 0


def _print(sections: list[Section], *, quiet: bool) -> None:
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for name, findings in sections:
        shown = [each for each in findings if not quiet or each.level in ("warning", "error")]
        if not shown:
            continue
        click.echo(name if plain else click.style(name, bold=True))
        for each in shown:
            _show(each, width, plain=plain)


def _show(finding: Finding, width: int | None, *, plain: bool) -> None:
    word, colour = _MARKS[finding.level]
    mark = f"  {word:<{_INDENT - 2}}"
    lines = _folded(finding.found, width)
    click.echo((mark if plain or colour is None else click.style(mark, fg=colour)) + lines[0])
    for line in lines[1:]:
        click.echo(" " * _INDENT + line)
    if finding.do:
        first, *rest = _folded(finding.do, width, hanging=3)
        click.echo(" " * _INDENT + "-> " + first)
        for line in rest:
            click.echo(" " * (_INDENT + 3) + line)


def _folded(text: str, width: int | None, *, hanging: int = 0) -> list[str]:
    text = printable(text)
    if width is None:
        return [text]
    room = max(30, width - _INDENT - hanging)
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]


def _summary(counts: Counter[Level]) -> str:
    def counted(number: int, word: str) -> str:
        return f"{number} {word}{'' if number == 1 else 's'}"

    if not counts["error"] and not counts["warning"]:
        return "nothing is wrong"
    return f"{counted(counts['error'], 'error')}, {counted(counts['warning'], 'warning')}"
