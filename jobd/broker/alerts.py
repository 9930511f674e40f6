"""Alerts in Redis: the states of rules, mutes, whose turn it is, and what is told, in one step with it.

Any host evaluates; a turn is only so that not all do the same work, and moves are compare-and-set.
Called by jobd.alerter, the command line, metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace
from redis.exceptions import RedisError

from jobd.broker.connection import Client, ours, place_of, run, run_many, translated
from jobd.broker.keys import SharedKeys
from jobd.broker.scripts import SCRIPTS
from jobd.core.alerts.history import KEPT, Change
from jobd.core.alerts.machine import RuleState
from jobd.core.alerts.notification import Notification
from jobd.core.errors import StoreFull
from jobd.core.unreadable import UNREADABLE_JSON

# A rule that no evaluator has shown interest in for so long is in no configuration any more.
FORGOTTEN_MS = 600_000


class Turn(NamedTuple):
    """What this host may do now: which rules are its to evaluate, by Redis' clock."""

    at_ms: int
    rules: list[str]


class Life(NamedTuple):
    """Which life the store lives (`epoch`), and when somebody noticed that it had lost something, ms. `found`
    is the mark of the last look, of any host; `left` the one that it had after this."""

    epoch: str
    reset_ms: int | None
    found: int
    left: int


class Held(NamedTuple):
    """A rule's state, and as what it stands there: what a move must find unchanged. The sinks in `waiting`
    were not told all of it yet, where that was asked for."""

    state: RuleState
    raw: bytes
    muted_until: int
    waiting: frozenset[str] = frozenset()


class Move(NamedTuple):
    """One rule's step. `after` None forgets the rule; `note` None tells nothing; `changes` go into the history."""

    rule: str
    before: bytes
    after: RuleState | None
    note: Notification | None = None
    sinks: Sequence[str] = ()
    changes: Sequence[Change] = ()


class AlertStore:
    """The alerts of one namespace. `now` injects a store time in ms for tests."""

    def __init__(self, client: Client, namespace: str, *, now: int | None = None) -> None:
        self._client = client
        self._keys = SharedKeys(namespace)
        self._place = place_of(client)
        self._now = "" if now is None else str(now)

    def take_turn(self, rules: Sequence[str], period_ms: int) -> Turn:
        """Ask for the turn of each rule, for a period. Raises BrokerError."""
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            for rule in rules:
                pipe.set(self._keys.alert_turn_prefix + rule, "1", nx=True, px=period_ms)
            time, *won = pipe.execute(raise_on_error=False)
        if isinstance(time, RedisError):
            raise ours(time, self._place)
        return Turn(_ms(time), [r for r, got in zip(rules, won, strict=True) if self._is_won(got)])

    def bar_old(self, rules: Sequence[str], for_ms: int) -> None:
        """Keep hosts from looking whose version does not know whose definition counts. Raises BrokerError."""
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            for rule in rules:
                pipe.set(self._keys.alert_old_turn_prefix + rule, "1", px=for_ms)
            pipe.execute(raise_on_error=False)  # a full store takes none

    def _is_won(self, reply: Any) -> bool:
        """Read a turn; a full store gives none, and then everybody looks: moves are told once even so."""
        if isinstance(reply, RedisError):
            error = ours(reply, self._place)
            if not isinstance(error, StoreFull):
                raise error
            return True
        return bool(reply)

    def hold(self, rules: Sequence[str]) -> dict[str, Held]:
        """Read rules' states and mutes, and who is still to be told. Raises BrokerError."""
        if not rules:
            return {}
        with translated(self._place):
            # No MULTI: a full store takes none. The states first: one who was still to be told then is, or
            # knows more since.
            pipe = self._client.pipeline(transaction=False)
            pipe.hmget(self._keys.alert_states, *rules)
            pipe.hmget(self._keys.alert_mutes, *rules)
            pipe.zrange(self._keys.alert_order, 0, -1)
            states, mutes, order = pipe.execute()
        waiting: dict[str, set[str]] = {}
        for mark in order:
            member, _, rule = _text(mark).partition("\n")
            waiting.setdefault(rule, set()).add(member.partition(" ")[2])
        return {
            rule: Held(_state(raw), raw or b"", _whole(until), frozenset(waiting.get(rule, ())))
            for rule, raw, until in zip(rules, states, mutes, strict=True)
        }

    def move(self, moves: Sequence[Move]) -> list[str]:
        """Make steps; give for each `moved`, `stale` (somebody else did) or `muted`. Raises BrokerError."""
        script = SCRIPTS["alert_move"]
        keys = [getattr(self._keys, key) for key in script.keys]
        commands = [
            script.command(
                keys, self._now, move.rule, move.before,
                b"" if move.after is None else as_written(move.after),
                "" if move.note is None else move.note.id,
                b"" if move.note is None else msgspec.json.encode(move.note),
                b"\n".join(msgspec.json.encode(change) for change in move.changes),
                *move.sinks,
            )
            for move in moves
        ]  # fmt: skip
        return [reply[0].decode() for reply in run_many(self._client, commands)]

    def states(self) -> dict[str, Held]:
        """Read all rules' states and mutes. Raises BrokerError."""
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            pipe.hgetall(self._keys.alert_states)
            pipe.hgetall(self._keys.alert_mutes)
            states, mutes = pipe.execute()
        until = {_text(rule): _whole(raw) for rule, raw in mutes.items()}
        return {
            _text(rule): Held(_state(raw), raw, until.get(_text(rule), 0))
            for rule, raw in states.items()
        }

    def mutes(self) -> dict[str, int]:
        """Read until when rules are muted, ms since 1970; what is over is left out. Raises BrokerError."""
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            pipe.time()
            pipe.hgetall(self._keys.alert_mutes)
            time, mutes = pipe.execute()
        found = {_text(rule): _whole(raw) for rule, raw in mutes.items()}
        return {rule: until for rule, until in found.items() if until > _ms(time)}

    def mute(self, rule: str, for_ms: int, *, by: str = "") -> int:
        """Let a rule notify nobody for so long; give until when. Raises BrokerError."""
        return self._mute(
            rule, max(1, for_ms), Change(rule=rule, what="muted", for_ms=for_ms, by=by)
        )[0]

    def unmute(self, rule: str, *, by: str = "") -> bool:
        """Let a rule notify again; say whether it was muted. Raises BrokerError."""
        return self._mute(rule, 0, Change(rule=rule, what="unmuted", by=by))[1]

    def _mute(self, rule: str, for_ms: int, change: Change) -> tuple[int, bool]:
        script = SCRIPTS["alert_mute"]
        keys = [getattr(self._keys, key) for key in script.keys]
        entry = msgspec.json.encode(change)
        until, was = run(self._client, script.command(keys, self._now, rule, for_ms, entry))
        return int(until), bool(was)

    def history(self) -> list[Change]:
        """Read what rules went through, the newest first. Raises BrokerError."""
        with translated(self._place):
            rows: Any = self._client.lrange(self._keys.alert_history, 0, KEPT - 1)
        return [change for row in rows if (change := _change(row)) is not None]

    def abandoned(self, ours: Iterable[str], at_ms: int) -> dict[str, Held]:
        """Give the states of rules that nobody has any more. Raises BrokerError."""
        mine = set(ours)
        return {
            rule: held
            for rule, held in self.states().items()
            if rule not in mine and at_ms - held.state.looked_ms > FORGOTTEN_MS
        }

    def drop_mutes(self, at_ms: int) -> None:
        """Drop mutes that are over. Raises BrokerError."""
        with translated(self._place):
            mutes: Any = self._client.hgetall(self._keys.alert_mutes)
            over = [rule for rule, until in mutes.items() if _whole(until) <= at_ms]
            if over:
                self._client.hdel(self._keys.alert_mutes, *over)

    def life(self, at_ms: int) -> Life:
        """Read which life the store lives, and leave a mark of this look in it. Raises BrokerError."""
        keys = self._keys
        with translated(self._place):
            pipe = self._client.pipeline(transaction=False)
            pipe.get(keys.epoch)
            pipe.get(keys.alert_reset)
            pipe.zscore(keys.alert_beat, "at")
            pipe.zadd(keys.alert_beat, {"at": at_ms}, gt=True)
            epoch, reset, before, marked = pipe.execute(raise_on_error=False)
        for reply in (epoch, reset, before):
            if isinstance(reply, RedisError):
                raise ours(reply, self._place)
        is_marked = not isinstance(marked, RedisError)  # a full store takes no mark
        found = int(before or 0)
        return Life(
            epoch=_text(epoch),
            reset_ms=_reset_ms(reset),
            found=found,
            left=max(found, at_ms) if is_marked else found,
        )

    def reset_at(self) -> int | None:
        """Give when somebody noticed that the store began anew or lost something, ms. Raises BrokerError."""
        with translated(self._place):
            mark: Any = self._client.get(self._keys.alert_reset)
        return _reset_ms(mark)

    def note_reset(self, epoch: str, at_ms: int, *, again: bool = False) -> int:
        """Say that the store began anew, or (`again`) that it lives on and has lost something; give when.

        Of several who notice the former the first one counts. Raises BrokerError.
        """
        key, mark = self._keys.alert_reset, f"{epoch} {at_ms}"
        with translated(self._place):
            if not again and self._client.set(key, mark, nx=True):
                return at_ms
            raw: Any = self._client.get(key)
            of, _, since = _text(raw).rpartition(" ")
            if not again and of == epoch:
                return _whole(since.encode())
            self._client.set(key, mark)
        return at_ms


def as_written(state: RuleState) -> bytes:
    """Give a state as it stands in Redis: what the move after its own must find."""
    return msgspec.json.encode(state)


def states(client: Client, namespace: str) -> dict[str, RuleState]:
    """Read the states of all rules, over all hosts. Raises BrokerError."""
    return {rule: held.state for rule, held in AlertStore(client, namespace).states().items()}


def firing(client: Client, namespace: str) -> dict[str, int]:
    """Count what fires, by rule; 0 for a rule that is known and quiet. Raises BrokerError."""
    return {rule: firing_of(state) for rule, state in states(client, namespace).items()}


def firing_of(state: RuleState) -> int:
    """Count what fires of a rule."""
    return sum(each.phase == "firing" for each in state.instances.values())


def _state(raw: bytes | None) -> RuleState:
    """Read a state; one that a stranger wrote, or a later version, counts as none and is replaced."""
    try:
        return msgspec.json.decode(raw or b"{}", type=RuleState)
    except UNREADABLE_JSON:
        return RuleState()


def _change(row: bytes) -> Change | None:
    """Read an entry; one that a stranger wrote, or a later version, is left out."""
    at, _, document = row.partition(b" ")
    try:
        return replace(msgspec.json.decode(document, type=Change), at_ms=_whole(at))
    except UNREADABLE_JSON:
        return None


def _reset_ms(mark: bytes | None) -> int | None:
    return _whole(_text(mark).rpartition(" ")[2].encode()) or None


def _ms(time: Any) -> int:
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _whole(raw: bytes | None) -> int:
    return int(raw) if raw and raw.isdigit() and len(raw) < 16 else 0


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
