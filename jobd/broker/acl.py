"""Who may do what on the server: one Redis user for each role, with nothing it does not need.

What a role may call is computed from the scripts it calls, whose commands Redis checks against the
user as if he had sent them, and from the few commands it sends itself. So a new script is in the rules
when it is in the house, and a test runs every role's whole life as its user. Shown by `jobd doctor
--acl`.

A user that may call scripts may send his own: within these keys and commands. It is the commands
that tell the roles apart: a monitor has no command that writes, a producer none that claims or waits
for work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from jobd.broker.scripts import SCRIPTS

Role = Literal["producer", "daemon", "operator", "monitor"]

_CALL = re.compile(r"redis\.p?call\('([A-Z]+)'")
_SAY = ("ping", "select", "role", "client|setname", "acl|whoami")
# Redis 7.0 refuses a rule that names a subcommand it does not have; without it connections work, and
# are not named in CLIENT LIST.
_SETINFO = "client|setinfo"
SETINFO_NOTE = (
    f"# From Redis 7.2 on, and for Valkey, add +{_SETINFO} to each: CLIENT LIST then shows which "
    "connections are jobd's."
)
_SCRIPTS = ("evalsha", "eval", "script|load")
_READS = (
    "exec", "exists", "get", "hexists", "hget", "hgetall", "hkeys", "hlen", "hmget", "hscan", "hvals", "info",
    "llen", "lrange", "multi", "scan", "sismember", "smembers", "time", "zcard", "zcount", "zrange", "zrangebyscore",
    "zrank", "zrevrange", "zscan", "zscore",
)  # fmt: skip
# What only a daemon's processes call.
_OF_WORKERS = (
    "claim", "settle", "join", "hand_back", "reconcile", "renew", "release", "reap", "jot", "step",
    "schedule_fire", "trim", "heed", "remember", "host_say", "host_ask", "host_take", "host_answer", "own_series",
    "alert_add", "alert_again", "alert_end", "alert_load", "alert_move", "alert_take",
    "operation_say", "operation_stop", "login_try", "login_done", "session_open", "session_look", "session_close",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Needs:
    """What a role calls. `channels`: whether it tells of jobs' ends, or is told."""

    what_for: str
    scripts: tuple[str, ...]
    commands: tuple[str, ...]
    channels: bool


ROLES: dict[Role, _Needs] = {
    "producer": _Needs(
        "adds jobs, waits for results, has handles and schedules",
        (
            "add", "add_once", "await", "cancel", "reschedule", "retry", "delete", "wake",
            "schedule_put", "schedule_look", "schedule_pause", "schedule_resume", "schedule_remove",
        ),
        (*_SAY, *_SCRIPTS, *_READS, "sadd", "subscribe", "unsubscribe"),
        channels=True,
    ),
    "daemon": _Needs(
        "jobd run: workers, keeper, web and alerts, and the jobs they run",
        tuple(SCRIPTS),
        (*_SAY, *_SCRIPTS, *_READS, "blpop", "hdel", "sadd", "subscribe", "unsubscribe"),
        channels=True,
    ),
    "operator": _Needs(
        "the command line: looks at everything, adds, pauses, retries, cancels, deletes",
        tuple(name for name in SCRIPTS if name not in _OF_WORKERS),
        (*_SAY, *_SCRIPTS, *_READS, "sadd", "subscribe", "unsubscribe"),
        channels=True,
    ),
    "monitor": _Needs("status, top, why and lists: reads, and writes nothing", (), (*_SAY, *_READS), channels=False),
}  # fmt: skip


def commands_of(role: Role, *, before_setinfo: bool = False) -> list[str]:
    """List what a role may call, as ACL SETUSER names it; for a server before 7.2 if that is said."""
    needs = ROLES[role]
    called = {
        word.lower() for name in needs.scripts for word in _CALL.findall(SCRIPTS[name].source)
    }
    return sorted(called.union(needs.commands, () if before_setinfo else (_SETINFO,)))


def rule(role: Role, namespace: str, *, before_setinfo: bool = False) -> list[str]:
    """Give the words after `ACL SETUSER name`, all but the password. For Redis 6.2 on."""
    keys = [f"~{namespace}:*"]
    channels = [f"&{namespace}:*"] if ROLES[role].channels else []
    commands = [f"+{name}" for name in commands_of(role, before_setinfo=before_setinfo)]
    return ["reset", "on", *keys, "resetchannels", *channels, "-@all", *commands]


def line(role: Role, namespace: str, *, before_setinfo: bool = False) -> str:
    """Write the command that makes a role's user, for people; its password is theirs to choose."""
    first, on, *rest = rule(role, namespace, before_setinfo=before_setinfo)
    return " ".join(["ACL SETUSER", f"{namespace}-{role}", first, on, ">PASSWORD", *rest])
