"""What `jobd queues pause|resume` have in common: the command line, and what is said."""

from __future__ import annotations

import click

from jobd.cli import settings
from jobd.cli.output import print_json
from jobd.cli.queue_name import known_queue
from jobd.cli.redis import views_of
from jobd.client.app import Jobd
from jobd.core.config import Config
from jobd.core.suggest import nearest

# What each verb answers, by whether it changed something.
_WORDS = {"pause": ("paused", "paused already"), "resume": ("resumed", "running already")}


def carry_out(
    verb: str, names: tuple[str, ...], task: str | None, why: str, config: Config, *, as_json: bool
) -> None:
    """Pause or resume each of the queues, or a task of each; say what was done.

    A name that no queue has is refused before anything is done.
    """
    views = views_of(config)
    for name in names:
        known_queue(name, views)
    app = Jobd(config.redis.url, namespace=config.redis.namespace)
    done = {}
    for name in dict.fromkeys(names):
        queue = app.queue(name)
        changed = queue.pause(task=task, why=why) if verb == "pause" else queue.resume(task=task)
        done[name] = _WORDS[verb][0 if changed else 1]
        if task is not None and verb == "pause":
            _warn_of_unseen(task, name, views.tasks_seen(name))
    if as_json:
        print_json([{"queue": name, "task": task, "outcome": word} for name, word in done.items()])
        return
    for name, word in done.items():
        click.echo(f"{word}  {name}" + ("" if task is None else f" task {task}"))


def _warn_of_unseen(task: str, queue: str, seen: set[str]) -> None:
    if task not in seen:
        click.echo(
            f"warning: no job of task {task!r} has ended in queue {queue!r} yet{nearest(task, seen)}",
            err=True,
        )


queues_argument = click.argument("queues", metavar="QUEUE...", nargs=-1, required=True)


def read(config_file: str | None, redis_url: str | None) -> Config:
    """Read the configuration of a command line."""
    return settings.read(settings.find_file(config_file), url=redis_url)
