"""What a configuration that can be read lacks, and what in it contradicts itself.

A lack is an error, the rest are warnings: allowed, and yet not what somebody may think it is.
"""

from __future__ import annotations

from jobd.core.config import Config
from jobd.core.config_places import Places
from jobd.core.config_web import is_local
from jobd.core.errors import ConfigError


def require_app(config: Config, places: Places) -> None:
    """Raise ConfigError when a queue that is to be served has no application, or none is named."""
    if config.app is not None:
        return
    named = config.daemon.queues
    served = list(config.queues) if named is None else named
    problems = [
        f"{places.at(f'queues.{queue}.app')}: not set, and there is no `app` for all; "
        "expected module:attribute; add app = 'shop.jobs:app' at the top of the file"
        for queue in served
        if queue not in config.queues or config.queues[queue].app is None
    ]
    if not served:
        problems = [
            f"{places.at('app')}: not set; expected module:attribute; "
            "add app = 'shop.jobs:app' at the top of the file"
        ]
    if problems:
        raise ConfigError(problems)


def warnings(config: Config, places: Places) -> list[str]:
    """List what is allowed and yet not what somebody may think it is."""
    return [
        *_not_served(config, places),
        *_weights(config, places),
        *_idle_processes(config, places),
        *_nobody_told(config, places),
        *_unsigned(config, places),
        *_beyond_this_host(config, places),
    ]


def _not_served(config: Config, places: Places) -> list[str]:
    if config.daemon.queues is None:
        return []
    return [
        f"{places.at(f'queues.{queue}')}: not served here; daemon.queues does not name it"
        for queue in config.queues
        if queue not in config.daemon.queues
    ]


def _weights(config: Config, places: Places) -> list[str]:
    if config.daemon.max_processes:
        return []
    return [
        f"{places.at(f'queues.{queue}.weight')}: {each.weight}; means nothing without "
        "daemon.max_processes, which it shares out; set that, or leave this out"
        for queue, each in config.queues.items()
        if each.weight != 1
    ]


def _idle_processes(config: Config, places: Places) -> list[str]:
    """A process beyond what may run at once over all hosts has nothing to do, ever."""
    found = []
    for queue, each in config.queues.items():
        most = each.limits.get("max_active", 0)
        if 0 < most <= (each.processes.max - 1) * each.concurrency:
            found.append(
                f"{places.at(f'queues.{queue}.max_active')}: {most} jobs at once over all hosts, and "
                f"{each.processes.max} processes of {each.concurrency} here; some never have work; "
                "lower `processes`, or raise this"
            )
    return found


def _nobody_told(config: Config, places: Places) -> list[str]:
    alerts = config.alerts
    if alerts.rules and not alerts.sinks:
        return [
            f"{places.at('alerts.rules')}: {len(alerts.rules)} and no [[alerts.sinks]]; what fires "
            "is seen by `jobd alerts` and in /metrics only; add one to be told"
        ]
    if not alerts.sinks:
        return []
    if not alerts.rules:
        return [
            f"{places.at('alerts.sinks')}: {len(alerts.sinks)} and no [[alerts.rules]]; "
            "nothing is ever told; add a rule"
        ]
    told = {name for rule in alerts.rules for name in rule.sinks or ()}
    if any(rule.sinks is None for rule in alerts.rules):
        return []
    return [
        f"{places.at(f'alerts.sinks[{place}]')}: {sink.name!r} is named by no rule; nothing is ever "
        "told there; name it in the `sinks` of one"
        for place, sink in enumerate(alerts.sinks)
        if sink.name not in told
    ]


def _unsigned(config: Config, places: Places) -> list[str]:
    return [
        f"{places.at(f'alerts.sinks[{place}].secret')}: not set; what is sent there is not signed, and "
        "whoever knows the address can send the same; add one, as in secret = '${JOBD_WEBHOOK_SECRET}'"
        for place, sink in enumerate(config.alerts.sinks)
        if sink.kind == "webhook" and not sink.secret
    ]


def _beyond_this_host(config: Config, places: Places) -> list[str]:
    bind, dashboard = config.web.bind, config.web.dashboard
    if bind is None or is_local(bind):
        return []
    if dashboard is not None and not dashboard.proxies:
        return [
            f"{places.at('web.bind')}: {bind!r}; passwords and sessions cross the network as they are; "
            "put a proxy that speaks TLS before it, and name it in web.dashboard.proxies"
        ]
    return []
