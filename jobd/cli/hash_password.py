"""`jobd hash-password`: what [web.dashboard] of jobd.toml has instead of a password or a token."""

from __future__ import annotations

import secrets
import sys

import click

from jobd.cli.options import json_option
from jobd.cli.output import print_json
from jobd.core.errors import OptionError
from jobd.core.passwords import (
    LONGEST_PASSWORD,
    SALT_BYTES,
    SHORTEST_PASSWORD,
    TOKEN_BYTES,
    TOKEN_PREFIX,
    hashed,
    hashed_token,
    written,
)


@click.command("hash-password")
@click.option(
    "--token", "wants_token", is_flag=True, help="Draw a token for a program, and hash it."
)
@json_option
def command(wants_token: bool, as_json: bool) -> None:
    """Print a hash for [web.dashboard.users] or, with --token, for [web.dashboard.tokens].

    The password is asked for twice on a terminal; else it is the first line of standard input. It is
    never a word of the command line: others would see it there.
    """
    if wants_token:
        _print_token(as_json)
        return
    hash_ = written(hashed(_password(), secrets.token_bytes(SALT_BYTES)))
    if as_json:
        print_json({"hash": hash_})
        return
    click.echo(hash_)
    if sys.stdout.isatty():
        click.echo('In jobd.toml: [web.dashboard.users], a line NAME = "scrypt:..."', err=True)


def _print_token(as_json: bool) -> None:
    token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    if as_json:
        print_json({"token": token, "hash": hashed_token(token)})
        return
    click.echo(f"token  {token}\nhash   {hashed_token(token)}")
    if sys.stdout.isatty():
        click.echo(
            'In jobd.toml: [web.dashboard.tokens], a line NAME = "sha256:...". The program sends the '
            "token, as Authorization: Bearer ...; it is shown this once.",
            err=True,
        )


def _password() -> str:
    """Ask for it, or read it. Raises OptionError for one that will not do."""
    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt="Again", err=True)
        password = str(given)
    else:
        line = sys.stdin.buffer.readline(4 * LONGEST_PASSWORD + 4)
        try:
            password = line.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise OptionError("password: not UTF-8; expected text") from error
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise OptionError(
            f"password: {len(password)} characters; expected {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}; "
            "a few words that nobody has put together before are easy to remember"
        )
    return password
