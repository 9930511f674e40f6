"""Rules over what all hosts share: looked at by whoever has the turn, moved by compare-and-set.

Invariant: the state in Redis is what counts, so this process may end at any moment, and another host goes
on (I-48). Only where a store has lost a rule's state is it what was last seen of it here: those who were
told that it fires still hear of its end, also of a rule that nobody has any more. A thread of its own: what
Redis does holds up nobody else.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from jobd.alerter.charge import Charge, Identity
from jobd.alerter.facts import Gatherer
from jobd.alerter.memory import Memory
from jobd.alerter.sight import Sight
from jobd.broker.alert_loads import LoadStore
from jobd.broker.alerts import AlertStore, Held, Move, as_written
from jobd.core.alert_events import AlertsBlind, AlertsSee, of_notification
from jobd.core.alerts.facts import Facts
from jobd.core.alerts.gone import last_words
from jobd.core.alerts.history import changes
from jobd.core.alerts.judge import judge, notification
from jobd.core.alerts.machine import RuleState, Spans, Transition, worth_writing
from jobd.core.config_alerts import RuleConfig
from jobd.core.errors import BrokerError, BrokerUnavailable, StoreUnusable
from jobd.core.events import Event
from jobd.core.ids import uuid7
from jobd.seams.clock import mono

# States of rules that nobody has any more are looked for so often, by one host of all.
TIDY_MS = 60_000
# Of a round that came too soon; rounds are a little longer than a turn, so that it is over then.
_PART_OF_PERIOD = 0.9
_TIDY = ""  # the turn for that; no rule has this name


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What this thread has learned of Redis and others need while it is away."""

    epoch: str = ""
    mutes: dict[str, int] = {}


class Shared(threading.Thread):
    """Looks at rules every `every` seconds; `start` it, `check` and `stop` it."""

    def __init__(
        self,
        rules: Sequence[RuleConfig],
        *,
        store: AlertStore,
        loads: LoadStore,
        me: Identity,
        gatherer: Gatherer,
        namespace: str,
        sinks: Sequence[str],
        every: float,
        spans: Spans,
        sight: Sight,
        known: Known,
        memory: Memory,
        emit: Callable[[Event], None],
        on_told: Callable[[], None],
    ) -> None:
        """`sinks` are all there are; `on_told` is called when something is to be delivered."""
        super().__init__(name="rules", daemon=True)
        self._rules = {rule.name: rule for rule in rules}
        self._store = store
        self._charge = Charge(rules, loads, me, for_ms=spans.gap, emit=emit)
        self._gatherer = gatherer
        self._namespace = namespace
        self._sinks = list(sinks)
        self._every = every
        self._spans = spans
        self._sight = sight
        self._emit = emit
        self._on_told = on_told
        self._stopping = threading.Event()
        self._is_blind = False
        self._memory = memory
        self._mark = 0
        self.known = known
        self.error: BaseException | None = None

    def run(self) -> None:
        """Go on until stopped."""
        try:
            wait = 0.0
            while not self._stopping.wait(wait):
                began = mono()
                self._try()
                wait = max(0.05, self._every - (mono() - began))
        except BaseException as error:  # noqa: BLE001 - `check` raises it again, in the main thread
            self.error = error

    def check(self) -> None:
        """Raise what ended the thread that should not have ended."""
        if self.error is not None:
            raise self.error

    def stop(self, within: float = 2.0) -> None:
        """End; wait for `within` seconds at most."""
        self._stopping.set()
        self.join(within)

    def _try(self) -> None:
        try:
            self.look()
        except BrokerError as error:
            # What else is wrong, such as a stranger's key in the way, is no outage of Redis.
            if isinstance(error, BrokerUnavailable | StoreUnusable):
                self._sight.bad(str(error))
            else:
                self._sight.good()
            if not self._is_blind:
                self._is_blind = True
                self._emit(AlertsBlind(why=str(error)))
            return
        self._sight.good()
        if self._is_blind:
            self._is_blind = False
            self._emit(AlertsSee())

    def look(self) -> None:
        """Look once. Raises BrokerError."""
        ours = self._charge.ours()
        turn = self._store.take_turn(ours, round(self._every * 1000 * _PART_OF_PERIOD))
        self._sight.heard()
        reset_ms, has_lost = self._learn(turn.at_ms)
        if self._store.take_turn([_TIDY], TIDY_MS).rules:
            self._tidy(turn.at_ms)
        held = self._remembered(self._store.hold(list(self._rules)), has_lost)
        # Nobody else may have noticed: then it is for this host to put all of them right.
        names = ours if has_lost else turn.rules
        if has_lost:
            self._restore(held, [rule for rule in held if rule not in ours])
        if not names:
            return
        self._store.bar_old(names, self._spans.gap)
        rules = [self._rules[name] for name in names]
        facts = self._gatherer.gather(rules, turn.at_ms, reset_ms)
        self._sight.heard()
        steps = [step for rule in rules if (step := self._step(rule, held[rule.name], facts))]
        words = self._store.move([move for move, _ in steps])
        for (move, event), word in zip(steps, words, strict=True):
            if word == "moved" and move.after is not None:
                note_id = "" if move.note is None else move.note.id
                self._memory.moved(move.rule, move.after, note_id, move.sinks)
            if word == "moved" and event is not None:
                self._emit(event)
                self._on_told()

    def _remembered(self, held: dict[str, Held], has_lost: bool) -> dict[str, Held]:
        """Go on from what was last known where a store has lost it, or has an older one: receivers have not."""
        found = {}
        for rule, each in held.items():
            is_old = has_lost and each.state.looked_ms < self._memory.looked_ms(rule)
            if each.raw and not is_old:
                self._memory.saw(rule, each.state, each.waiting)
                found[rule] = each
            else:
                found[rule] = each._replace(state=self._memory.lost(rule))
        return found

    def _restore(self, held: dict[str, Held], rules: Sequence[str]) -> None:
        """Write down what is known of rules that others judge: they may not notice what a store has lost."""
        wanted = [
            rule for rule in rules if as_written(held[rule].state) != (held[rule].raw or b"{}")
        ]
        self._store.move([Move(rule, held[rule].raw, held[rule].state) for rule in wanted])

    def _tidy(self, at_ms: int) -> None:
        """Forget rules that nobody has any more, and tell those who think that they fire; no mute is broken."""
        for rule, held in self._store.abandoned(self._rules, at_ms).items():
            words = last_words(
                rule, held.state, at_ms=at_ms, namespace=self._namespace, new_id=_new_id
            )
            befores = [held.raw, *(as_written(word.after) for word in words[:-1])]
            moves = [
                Move(rule, before, word.after, word.note, word.sinks)
                for before, word in zip(befores, words, strict=False)
            ]
            # Forgotten with the last word, not before.
            last = moves.pop() if moves else Move(rule, held.raw, None)
            ended = changes(rule, held.state, RuleState(), at_ms=at_ms)
            moves.append(last._replace(after=None, changes=ended))
            for move, answer in zip(moves, self._store.move(moves), strict=True):
                if answer == "moved" and move.note is not None:
                    self._emit(of_notification(move.note, move.sinks))
                    self._on_told()
        self._store.drop_mutes(at_ms)

    def _learn(self, at_ms: int) -> tuple[int | None, bool]:
        """Keep what is needed while Redis is away; give when the store began anew or went back, if somebody
        noticed, and whether it is this host that notices now."""
        life = self._store.life(at_ms)
        reset_ms, known = life.reset_ms, self.known.epoch
        is_another = bool(known) and life.epoch != known
        # A mark that was taken and is not there any more: a lagging replica, an old copy.
        has_gone_back = not is_another and life.found < self._mark
        if is_another or has_gone_back:
            reset_ms = self._store.note_reset(life.epoch, at_ms, again=has_gone_back)
        self._mark = life.left
        self.known = Known(epoch=life.epoch or known, mutes=self._store.mutes())
        return reset_ms, is_another or has_gone_back

    def _step(self, rule: RuleConfig, held: Held, facts: Facts) -> tuple[Move, Event | None] | None:
        muted = held.muted_until > facts.at_ms
        sinks = self._sinks if rule.sinks is None else rule.sinks
        after, told = judge(rule, held.state, facts, sinks=sinks, muted=muted, spans=self._spans)
        if told is None and held.raw and not worth_writing(held.state, after, facts.at_ms):
            return None
        after = replace(after, looked_ms=facts.at_ms)
        move = Move(
            rule.name,
            held.raw,
            after,
            changes=changes(rule.name, held.state, after, at_ms=facts.at_ms),
        )
        return (move, None) if told is None else self._telling(rule, move, told, facts.at_ms)

    def _telling(
        self, rule: RuleConfig, move: Move, told: Transition, at_ms: int
    ) -> tuple[Move, Event | None]:
        note = notification(
            rule, told, note_id=_new_id(at_ms), at_ms=at_ms, namespace=self._namespace
        )
        event = of_notification(note, told.sinks)
        return move._replace(note=note, sinks=told.sinks), event


def _new_id(at_ms: int) -> str:
    return uuid7(at_ms, secrets.randbits(74))
