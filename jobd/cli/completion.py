"""`jobd completion SHELL`: the script with which a shell completes this command."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL; save it where that looks for one.

    \b
    bash  jobd completion bash > ~/.local/share/bash-completion/completions/jobd
    zsh   jobd completion zsh > "${fpath[1]}/_jobd"
    fish  jobd completion fish > ~/.config/fish/completions/jobd.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "jobd", "_JOBD_COMPLETE").source())
