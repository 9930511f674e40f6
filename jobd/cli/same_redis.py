"""Whether the daemon of this host works on the Redis that a command looks at. Called by jobd.cli.picture.

What the daemon says of itself in that Redis is proof; else the addresses decide, as far as they can.
Invariant: nothing is claimed that is not known, and what is not known is None.
"""

from __future__ import annotations

from collections.abc import Iterable

from jobd.core.portrait import SILENT, Daemon, Host
from jobd.core.redis_place import same_place


def works_there(
    daemon: Daemon, url: str, namespace: str, hosts: Iterable[Host] | None
) -> bool | None:
    """Tell whether a daemon's jobs are those of this Redis and namespace; None when that is not known.

    `hosts`: what daemons have said there of themselves; None where that could not be read.
    """
    if not daemon.running or not daemon.redis:
        return None  # one of an older version does not say it
    if daemon.namespace != namespace:
        return False
    told = same_place(daemon.redis, url)
    if told is not None or hosts is None:
        return told
    if any(host.daemon is not None and _is(host.daemon, daemon) for host in hosts):
        return True
    return False if _would_have_said_so(daemon) else None


def _is(there: Daemon, here: Daemon) -> bool:
    """A reload may have led it from one Redis to another: then its word in the first is an old one."""
    return (there.nonce, there.redis, there.namespace) == (here.nonce, here.redis, here.namespace)


def _would_have_said_so(daemon: Daemon) -> bool:
    since = daemon.up_for if daemon.reload is None else min(daemon.up_for, daemon.reload.ago)
    return daemon.helpers.get("keeper") == "running" and since > SILENT
