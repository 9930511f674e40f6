"""A command line that cannot be read, in our words: what: value; expected ...; do this.

Invariant: what we refuse ourselves comes through as it is. Called by `jobd.cli.main` alone, for what
click raises: something missing, something too much, a misspelled option, a value of another kind.
"""

from __future__ import annotations

import re

import click

from jobd.core.suggest import nearest

# What is wanted where people leave it out, and where it is found.
_WANTED = {
    "APP": "module:attribute, as in 'shop.jobs:app'",
    "QUEUE": "the name of a queue; `jobd queues list` lists them",
    "TASK": "the name of a task, as in 'welcome-email'",
    "ID": "the id of a job; `jobd jobs list` lists them",
    "JOB": "the id of a job; `jobd jobs list` lists them",
    "SLOT": "the slot of a worker, as in email.1; `jobd status` lists them",
    "RULE": "the name of a rule; `jobd alerts list` lists them",
    "NAME": "the name of a schedule; `jobd schedules list` lists them",
    "N|auto|+N|-N": "a number of processes, +1, -1 or auto",
}
_NO_WORD = re.compile(r"Got unexpected extra arguments? \((?P<words>.*)\)")
_NO_CHOICE = re.compile(r"'(?P<value>.*?)' is not one of ")
_KINDS = {"integer": "a whole number, as in 5", "float": "a number, as in 0.5"}


def in_our_words(error: click.UsageError) -> click.UsageError:
    """Give the error that is to be shown, with the context that its usage line needs."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error  # no mistake: it shows the help
    return click.UsageError(_words(error), ctx=error.ctx)


def missing(name: str) -> str:
    """Say that a word of the command line is not there."""
    wanted = _WANTED.get(name.removesuffix("..."), "it where the usage says")
    return f"{name}: missing; expected {wanted}"


def _words(error: click.UsageError) -> str:
    match error:
        case click.MissingParameter():
            return _missing(error)
        case click.BadParameter():
            return _bad(error)
        case click.NoSuchOption():
            return _no_option(error)
        case click.BadOptionUsage():
            return _no_value(error)
    if found := _NO_WORD.fullmatch(error.message):
        return f"{found['words']}: too much; expected no more than the usage says; drop it"
    return error.format_message()


def _missing(error: click.MissingParameter) -> str:
    parameter = error.param
    if isinstance(parameter, click.Option):
        kind, text = parameter.make_metavar(_context(error)), (parameter.help or "").rstrip(".")
        return f"{parameter.opts[-1]}: missing; expected {parameter.opts[-1]} {kind}: {text}"
    if parameter is not None and isinstance(parameter.type, click.Choice):
        return f"{_name(error)}: missing; expected one of {', '.join(parameter.type.choices)}"
    return missing(_name(error))


def _bad(error: click.BadParameter) -> str:
    """A value of another kind. Our own say all there is to say."""
    name, said = _name(error), error.message.rstrip(".")
    kind = error.param.type if error.param else None
    if isinstance(kind, click.Choice) and (found := _NO_CHOICE.match(said)):
        near = nearest(found["value"], kind.choices)
        return f"{name}: {found['value']!r}; expected one of {', '.join(kind.choices)}{near}"
    if found := re.fullmatch(r"(?P<value>.*) is not a valid (?P<kind>\w+)(?: range)?", said):
        return f"{name}: {found['value']}; expected {_KINDS.get(found['kind'], found['kind'])}"
    if found := re.fullmatch(r"(?P<value>.*) is not in the range (?P<range>.*)", said):
        return f"{name}: {found['value']}; expected a number x with {found['range']}"
    return f"{name}: {said}"


def _no_option(error: click.NoSuchOption) -> str:
    known = [name for each in _context(error).command.params for name in each.opts]
    near = nearest(error.option_name, known) or f"; `{_context(error).command_path} -h` lists them"
    return f"{error.option_name}: no such option of {_context(error).command_path}{near}"


def _no_value(error: click.BadOptionUsage) -> str:
    """What stands behind an option is not there; click does not say of which command."""
    if error.message.endswith("requires an argument."):
        return f"{error.option_name}: without a value; expected one behind it"
    return error.format_message()


def _name(error: click.BadParameter) -> str:
    """Name what was wrong as it is typed: an option by its long name, another word by its place."""
    parameter = error.param
    if parameter is None:
        return str(error.param_hint or "a word")
    if isinstance(parameter, click.Option):
        return parameter.opts[-1]
    return parameter.make_metavar(_context(error)).strip("[]{}")


def _context(error: click.UsageError) -> click.Context:
    assert error.ctx is not None
    return error.ctx
