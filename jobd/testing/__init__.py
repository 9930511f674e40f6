"""For the tests of applications that use jobd: three ways to add jobs, and none of them waits.

    recorded(app)   adds are written down, nothing runs; asserts say what was added instead
    inline(app)     each added job runs at once, in this process
    world(app)      a private server and a clock that the test moves: delays, retries, retention

The first two need no Redis at all: they stand where the producer stands (`jobd.client.instead`), and
keep what they were given in memory. The third imitates nothing: real scripts on a real server, real
worker code, and only the time is the test's (`jobd.broker.commands`: scripts take an injected `now`).

A job runs here through the worker's own executor (`here`): its arguments and result are encoded and
decoded, its failure is judged, as they will be in production. What these tests cannot show is what
processes do: timeouts, crashes, two workers at once. `plugin` holds fixtures for pytest, loaded by
itself where jobd is installed. Names are loaded when they are used, so that this costs a test run
that uses none of it nothing.
"""

from importlib import import_module

_HOMES = {
    "Added": "jobd.testing.added",
    "AddedJob": "jobd.testing.added",
    "NoRedisHere": "jobd.testing.memory",
    "Ran": "jobd.testing.virtual",
    "Unsettled": "jobd.testing.virtual",
    "World": "jobd.testing.virtual",
    "inline": "jobd.testing.at_once",
    "private_server": "jobd.broker.private",
    "recorded": "jobd.testing.recording",
    "world": "jobd.testing.virtual",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605  a table of strings, checked by a test


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'jobd.testing' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
