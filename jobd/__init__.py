"""jobd: background jobs for Python on Redis.

    from jobd import Jobd

    app = Jobd()
    email = app.queue("email", attempts=5)

    @email.task("welcome")
    def welcome(user_id: int) -> None: ...

    welcome.enqueue(user_id=7)

Names are loaded when they are first used: the supervisor, which must stay deaf to Redis and small,
imports this package too. `__init__.pyi` tells type checkers the same table; a test compares them.
"""

from importlib import import_module

_HOMES = {
    "Exponential": "jobd.core.retry",
    "Fixed": "jobd.core.retry",
    "Linear": "jobd.core.retry",
    "Discard": "jobd.core.raised",
    "Retry": "jobd.core.raised",
    "Snooze": "jobd.core.raised",
    "Throttle": "jobd.core.raised",
    "Job": "jobd.client.job",
    "JobEvent": "jobd.client.hooks",
    "JobHandle": "jobd.client.handle",
    "Jobd": "jobd.client.app",
    "Queue": "jobd.client.queue",
    "Task": "jobd.client.task",
    "Unique": "jobd.core.unique",
    "BrokerError": "jobd.core.errors",
    "BrokerUnavailable": "jobd.core.errors",
    "ConfigError": "jobd.core.errors",
    "DeclarationError": "jobd.core.errors",
    "JobCancelled": "jobd.core.errors",
    "JobFailed": "jobd.core.errors",
    "JobdError": "jobd.core.errors",
    "NotSerializable": "jobd.core.errors",
    "OptionError": "jobd.core.errors",
    "PayloadTooLarge": "jobd.core.errors",
    "ResultGone": "jobd.core.errors",
    "ResultTimeout": "jobd.core.errors",
    "SoftTimeout": "jobd.core.errors",
    "StaleRun": "jobd.core.errors",
    "StoreFull": "jobd.core.errors",
    "UnknownTask": "jobd.core.errors",
    "ValueNotKept": "jobd.core.errors",
}

__version__ = "0.1.0"
__all__ = [*sorted(_HOMES), "__version__"]  # noqa: PLE0604  a table of strings, checked by a test


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'jobd' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
