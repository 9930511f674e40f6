"""[alerts] of jobd.toml: rules, sinks and the sign of life are read whole, each problem is told.

What a rule may say depends on its kind (jobd.core.alerts.kinds). Addresses and secrets are never shown:
of many receivers the address is the secret. Used by jobd.core.config alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from jobd.core import config_values as values
from jobd.core.addresses import scheme_to_show
from jobd.core.alerts.delivery import LONGEST_TIMEOUT
from jobd.core.alerts.kinds import BUILTIN, KINDS, Kind
from jobd.core.alerts.signing import keys_of
from jobd.core.config_alerts import AlertsConfig, HeartbeatConfig, RuleConfig, Severity, SinkConfig
from jobd.core.config_drawn import Drawn
from jobd.core.config_problems import Findings, said
from jobd.core.errors import OptionError
from jobd.core.suggest import nearest, one_of

_KEYS_OF_ALERTS = ("every", "builtin", "rules", "sinks", "heartbeat")
_KEYS_OF_RULE = ("name", "kind", "for", "repeat", "severity", "sinks")
_KEYS_OF_SOME = ("queue", "task", "above", "clear_below", "window", "min_runs")
_KEYS_OF_SINK = (
    "name", "kind", "url", "url_file", "secret", "secret_file", "allow_private", "timeout",
)  # fmt: skip
_KEYS_OF_HEARTBEAT = ("url", "url_file", "every", "allow_private")
_SINKS = ("webhook", "slack", "pagerduty")
_PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
_LONGEST_NAME = 100
LEAST_EVERY = 0.5


def alerts(found: Findings, table: Mapping[str, Any]) -> AlertsConfig:
    """Read [alerts]. What is wrong is in `found` then, and left out."""
    found.known(table, "alerts", _KEYS_OF_ALERTS)
    given = _tables(found, table, "sinks")
    sinks = [_sink(found, at, each) for at, each in given]
    _different(found, "alerts.sinks", given, [each.name if each else None for each in sinks])
    # One that could not be read may be named too: it is the problem, and not who names it.
    names = [each.get("name", each.get("kind")) for _, each in given]
    tables = _tables(found, table, "rules")
    rules = [_rule(found, at, each, names) for at, each in tables]
    _different(found, "alerts.rules", tables, [each.name if each else None for each in rules])
    wants_builtin = found.read(table, "alerts", "builtin", values.flag)
    if sinks and wants_builtin is not False:
        rules += _builtin([each for each in rules if each is not None])
    return AlertsConfig(
        **said(every=found.read(table, "alerts", "every", values.span("every", least=LEAST_EVERY))),
        rules=[each for each in rules if each is not None],
        sinks=[each for each in sinks if each is not None],
        heartbeat=_heartbeat(found, table.get("heartbeat")),
    )


def _builtin(given: list[RuleConfig]) -> list[RuleConfig]:
    """Give the rules that are there by themselves: of kinds, and with names, that the file has none of."""
    taken = {rule.kind for rule in given} | {rule.name for rule in given}
    return [_usual(kind) for kind in BUILTIN if kind not in taken]


def _usual(word: str) -> RuleConfig:
    kind = KINDS[word]
    severity: Severity = (
        "critical" if word in ("redis_down", "store_unfit", "store_reset") else "warning"
    )
    return RuleConfig(
        name=word, kind=word, above=kind.above, for_=kind.for_, window=kind.window,
        min_runs=kind.min_runs, severity=severity,
    )  # fmt: skip


def _tables(
    found: Findings, table: Mapping[str, Any], key: str
) -> list[tuple[str, Mapping[str, Any]]]:
    given = table.get(key, [])
    if not isinstance(given, list):
        found.problem(f"alerts.{key}", f"expected tables, each begun with [[alerts.{key}]]")
        return []
    paths = [f"alerts.{key}[{at}]" for at in range(len(given))]
    return [(path, found.table(each, path)) for path, each in zip(paths, given, strict=True)]


def _different(
    found: Findings,
    path: str,
    tables: list[tuple[str, Mapping[str, Any]]],
    names: list[str | None],
) -> None:
    """Note each name that is there twice. It is shown as its table has it, where it does."""
    for at, name in enumerate(names):
        if name is not None and (first := names.index(name)) != at:
            found.problem(
                f"{path}[{at}].name",
                f"{tables[at][1].get('name', name)!r} is the name of {path}[{first}] too; expected each name once; name both",
            )


# --- rules ---


def _rule(
    found: Findings, path: str, table: Mapping[str, Any], sinks: list[Any]
) -> RuleConfig | None:
    before = len(found.problems)
    word = _needed(found, table, path, "kind", values.word(*KINDS))
    if not isinstance(word, str):
        found.known(table, path, (*_KEYS_OF_RULE, *_KEYS_OF_SOME))
        return None
    kind = KINDS[word]
    refused = {
        key: f"a rule of kind {word} has none; leave it out"
        for key in _KEYS_OF_SOME
        if key not in kind.takes
    }
    found.known(table, path, (*_KEYS_OF_RULE, *kind.takes), refused)
    read = {
        key.replace("for", "for_"): found.read(table, path, key, reader)
        for key, reader in _readers(kind, sinks).items()
        if key not in refused
    }
    if kind.above is None and "above" not in table:
        found.problem(f"{path}.above", f"not set; expected {kind.unit.expected}")
    if len(found.problems) > before:
        return None
    given = said(**read)
    usual: dict[str, Any] = {
        "above": kind.above,
        "window": kind.window,
        "min_runs": kind.min_runs,
    }
    usual |= {"for_": kind.for_, "name": _usual_name(word, given.get("queue"))}
    rule = RuleConfig(kind=word, **(usual | given))
    return rule if _hangs_together(found, path, rule, table) else None


def _readers(kind: Kind, sinks: list[Any]) -> dict[str, Callable[[object], Any]]:
    return {
        "name": _name,
        "queue": values.name("queue"),
        "task": values.name("task"),
        "above": kind.unit.read,
        "clear_below": kind.unit.read,
        "for": values.span("for"),
        "window": values.span("window", least=60.0 if kind.detail == "minutes" else 1.0),
        "min_runs": values.whole(1, 10**9),
        "repeat": values.span_or_never("repeat", least=60.0),
        "severity": values.word("warning", "critical"),
        "sinks": _sinks_named(sinks),
    }


def _hangs_together(found: Findings, path: str, rule: RuleConfig, table: Mapping[str, Any]) -> bool:
    clear, above = rule.clear_below, rule.above or 0.0
    if clear is not None and (
        clear > above or clear == 0 or (_is_part(rule) and (clear > 1) != (above > 1))
    ):
        found.problem(
            f"{path}.clear_below",
            f"{table['clear_below']!r}; expected more than 0 and not more than `above`, which is "
            f"{table.get('above', above)!r}; the rule resolves when the value is below it",
        )
        return False
    if rule.window is not None and rule.window > 7200 and KINDS[rule.kind].detail == "minutes":
        found.problem(
            f"{path}.window", f"{table['window']!r}; expected at most 2h: no more is kept"
        )
        return False
    return True


def _is_part(rule: RuleConfig) -> bool:
    return rule.kind == "redis_memory"


def _usual_name(kind: str, queue: object) -> str:
    return kind if queue is None else f"{kind} {queue}"


def _name(value: object) -> str:
    text = values.text(value)
    if len(text) <= _LONGEST_NAME and text.isprintable() and text == text.strip():
        return text
    raise OptionError(
        f"{value!r:.80}; expected up to {_LONGEST_NAME} printable characters, no space at either end"
    )


def _sinks_named(known: list[Any]) -> Callable[[object], list[str]]:
    to_show = [str(each) for each in known if not isinstance(each, Drawn)]

    def read(value: object) -> list[str]:
        if not isinstance(value, list):
            raise OptionError(f"{value!r:.60}; expected a list of sinks' names, as in ['webhook']")
        for name in value:
            if name not in known:
                expected = one_of(to_show) or "the name of one of [[alerts.sinks]]"
                raise OptionError(
                    f"{name!r:.60}; no such sink; expected {expected}{nearest(str(name), to_show)}"
                )
        return list(dict.fromkeys(value))

    return read


# --- who is told ---


def _sink(found: Findings, path: str, table: Mapping[str, Any]) -> SinkConfig | None:
    before = len(found.problems)
    found.known(table, path, _KEYS_OF_SINK)
    kind = _needed(found, table, path, "kind", values.word(*_SINKS))
    read = said(
        name=found.read(table, path, "name", values.name("name")),
        url=found.secret(table, path, "url", _url),
        secret=found.secret(table, path, "secret", _signing if kind == "webhook" else _secret),
        allow_private=found.read(table, path, "allow_private", values.flag),
        timeout=found.read(table, path, "timeout", _timeout),
    )
    if kind in ("webhook", "slack") and not {"url", "url_file"} & table.keys():
        found.problem(f"{path}.url", "not set; expected where to send it, as in https://...")
    if kind == "pagerduty" and not {"secret", "secret_file"} & table.keys():
        found.problem(f"{path}.secret", "not set; expected the routing key of the integration")
    if len(found.problems) > before:
        return None
    return SinkConfig(**({"name": kind, "url": _PAGERDUTY} | read | {"kind": kind}))


def _heartbeat(found: Findings, given: object) -> HeartbeatConfig | None:
    if given is None:
        return None
    before, path = len(found.problems), "alerts.heartbeat"
    table = found.table(given, path)
    found.known(table, path, _KEYS_OF_HEARTBEAT)
    url = found.secret(table, path, "url", _url)
    if not {"url", "url_file"} & table.keys():
        found.problem(f"{path}.url", "not set; expected a URL, as in https://watch.example/jobd")
    read = said(
        every=found.read(table, path, "every", values.span("every", least=1.0)),
        allow_private=found.read(table, path, "allow_private", values.flag),
    )
    return None if len(found.problems) > before else HeartbeatConfig(url=url, **read)


def _needed(
    found: Findings,
    table: Mapping[str, Any],
    path: str,
    key: str,
    reader: Callable[[object], Any],
) -> Any:
    if key in table:
        return found.read(table, path, key, reader)
    try:
        reader(None)
    except OptionError as error:
        expected = str(error).partition("; ")[2]
        found.problem(f"{path}.{key}", f"not set; {expected}")
    return None


def _url(value: object) -> str:
    """Read an address of the web, without showing it."""
    text = value if isinstance(value, str) else ""
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if good and text.isprintable() and " " not in text:
        return text
    shown = scheme_to_show(text) or "no address"
    raise OptionError(f"{shown}; expected a URL, as in https://hooks.example/jobd")


def _secret(value: object) -> str:
    """Read a secret, without showing it."""
    if isinstance(value, str) and value.strip():
        return value
    raise OptionError("empty, or no text; expected the receiver's secret")


def _signing(value: object) -> str:
    """Read what a webhook is signed with, without showing it."""
    secret = _secret(value)
    try:
        keys_of(secret)
    except ValueError as bad:
        raise OptionError(str(bad)) from None
    return secret


def _timeout(value: object) -> float:
    """Read how long a receiver may take; whoever takes a delivery has it for little longer."""
    found = values.span("timeout", least=0.1)(value)
    if found > LONGEST_TIMEOUT:
        raise OptionError(f"{value!r:.60}; expected at most {LONGEST_TIMEOUT:g}s")
    return found
