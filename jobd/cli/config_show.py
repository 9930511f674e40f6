"""`jobd config show`: the configuration as it holds here, each value with where it comes from."""

from __future__ import annotations

import os

import click

from jobd.cli import runtime, settings
from jobd.cli.options import config_option, json_option, runtime_option, url_option
from jobd.cli.output import print_json
from jobd.cli.settings import Settings
from jobd.cli.shown import Origin, Section, Value, sections
from jobd.cli.toml_lines import aligned, assignment
from jobd.core.errors import NotHere


@click.command("show")
@config_option
@click.option("--app", metavar="APP", help="module:attribute; goes before the configuration's.")
@url_option
@runtime_option
@json_option
def command(
    config_file: str | None,
    app: str | None,
    redis_url: str | None,
    runtime_dir: str | None,
    as_json: bool,
) -> None:
    """Show the configuration that `jobd run` with the same options would have, here and now.

    Each value is shown with where it comes from. Secrets are masked. What only the code says, the
    options of queues and tasks, is not shown. Exits with 78 when the file cannot be used.
    """
    file = settings.find_file(config_file)
    missing: list[str] = []
    try:
        found = settings.whole(file, url=redis_url, app=app)
    except NotHere as without:
        found = settings.laid_over(Settings(*without.rest), url=redis_url, app=app)
        missing = without.problems
    shown = sections(found, _runtime_dir(found, runtime_dir))
    if as_json:
        name = None if file is None else str(file)
        print_json({"file": name, "values": [*_flat(shown)], "missing": missing})
        return
    click.echo(f"# {'no file: defaults' if file is None else file}")
    for section in shown:
        click.echo()
        for line in _lines(section):
            click.echo(line)
    for problem in missing:
        click.echo(f"\n# missing here: {problem}")


def _runtime_dir(found: Settings, given: str | None) -> Value | None:
    """Say which directory it is, and who has chosen it; None: the file has."""
    value = str(runtime.locate(found.config, given))
    if given:
        return Value("runtime_dir", value, Origin("flag", "--runtime-dir"))
    if found.places.has("daemon.runtime_dir"):
        return None
    for name in ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"):
        if os.environ.get(name):
            return Value("runtime_dir", value, Origin("environment", name))
    return Value("runtime_dir", value, Origin("default"))


def _lines(section: Section) -> list[str]:
    header = [section.header] if section.header else []
    return header + aligned([(_line(each), _comment(each.origin)) for each in section.values])


def _line(each: Value) -> str:
    # TOML has no word for what is not set.
    return f"# {each.key} is not set" if each.value is None else assignment(each.key, each.value)


def _comment(origin: Origin) -> str:
    return origin.where or "default"


def _flat(shown: list[Section]) -> list[dict[str, object]]:
    return [
        {
            "key": f"{section.path}.{each.key}" if section.path else each.key,
            "value": each.value,
            "origin": each.origin.kind,
            "from": each.origin.where or None,
            "line": each.origin.line,
        }
        for section in shown
        for each in section.values
    ]
