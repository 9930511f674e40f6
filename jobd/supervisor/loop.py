"""The supervisor's loop: wait, turn what happened into observations, step, carry out, publish.

Invariant: it decides nothing; all it knows beside the fleet is which descriptor belongs to whom.
One thread. Nothing in it waits for a peer: channels never block, and signals only enqueue.
"""

from __future__ import annotations

import selectors
import signal
from collections import deque
from pathlib import Path
from typing import assert_never

from jobd.core.errors import ConfigError, HostError
from jobd.core.events import LookFailed, SignalIgnored
from jobd.seams import clock
from jobd.seams.control import Control
from jobd.seams.exits import Exit
from jobd.seams.host import Signals, handles_left, is_out_of_handles, send
from jobd.seams.lines import Lines
from jobd.seams.log import Log
from jobd.seams.systemd import Notifier
from jobd.supervisor import messages, publish
from jobd.supervisor.channels import Channels
from jobd.supervisor.children import Children, kill_child, unlink
from jobd.supervisor.clients import Clients
from jobd.supervisor.configuration import Configuration
from jobd.supervisor.dumps import Dumps
from jobd.supervisor.fleet import READS_THE_APP, Fleet, Role, Stop
from jobd.supervisor.orders import (
    Action,
    Adopt,
    Answer,
    Discard,
    Drain,
    Dump,
    EndHelper,
    Forget,
    Fork,
    HelperExited,
    Kill,
    KillStray,
    Loaded,
    Observation,
    PlanRead,
    PlanRefused,
    Quit,
    Ready,
    Refused,
    Remind,
    Say,
    StartHelper,
    TakeBack,
    Tell,
    Ticked,
    Watch,
    Withdraw,
    WorkerExited,
)
from jobd.supervisor.outlet import Run
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.paper import StatePaper
from jobd.supervisor.selfcheck import Pulse
from jobd.supervisor.settle import next_deadline
from jobd.supervisor.signalled import meaning
from jobd.supervisor.step import step

# The keeper hears the whole list at least this often; by it services know that we turn.
_PUBLISH_EVERY = 1.0
# File handles that no worker is started for: each look at a process takes one for a moment.
_KEPT_FREE = 12
_NO_HANDLES = (
    f"fewer than {_KEPT_FREE} file handles are left; expected them for looking after what runs; "
    "raise LimitNOFILE of the service, or the machine's fs.file-max"
)
# Whom the kernel hands over alive, it does not tell of.
_STRAYS_EVERY = 1.0


class Loop:
    """One daemon's supervision, from the first helper to the exit code."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        outlook: Outlook,
        outlets: Outlets,
        children: Children,
        signals: Signals,
        control: Control,
        configuration: Configuration,
        runtime_dir: Path,
        where: Path,
        notifier: Notifier,
        emit: Log,
    ) -> None:
        self.fleet = fleet
        self._outlook = outlook
        self._outlets = outlets
        self._children = children
        self._signals = signals
        self._clients = Clients(control)
        self._configuration = configuration
        self._notifier = notifier
        self._emit = emit
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals.fileno(), selectors.EVENT_READ, None)
        self._selector.register(control.fileno(), selectors.EVENT_READ, ("control", ""))
        self._selector.register(outlets.fileno(), selectors.EVENT_READ, ("output", ""))
        self._channels = Channels(self._selector)
        self._heard: deque[Observation] = deque([Ticked()])
        self._look_at = 0.0
        self._publish_at = 0.0
        self._told: dict[str, dict[str, object]] = {}
        self._paper = StatePaper(runtime_dir, where, outlook.board, notifier=notifier, emit=emit)
        self._pulse = Pulse(notifier, emit)
        self._dumps = Dumps(emit, self._clients.answer)
        self._unwatched: list[Watch] = []  # for want of a file handle
        self._blind = False  # the last look failed for that reason
        self._strays = True
        self._strays_at = 0.0
        self._code: int | None = None

    def run(self) -> int:
        """Supervise until the fleet has ended; give the exit code."""
        while self._code is None:
            now = clock.mono()
            self._observe(now)
            while self._heard and self._code is None:
                self.fleet, actions = step(self.fleet, self._heard.popleft(), clock.mono())
                for action in actions:
                    self._carry_out(action)
            self._publish()
            self._pulse.turned(self.fleet, now)
            self._clients.reply()
            if self._code is None:
                self._wait()
        return self._code

    # --- hearing ---

    def _wait(self) -> None:
        until = min(next_deadline(self.fleet), self._look_at, self._publish_at, self._dumps.due)
        while self._hear(until):
            """Nothing but output came: there is nothing to decide."""

    def _hear(self, until: float) -> bool:
        now = clock.mono()
        came = self._selector.select(max(0.0, until - now))
        only_output = bool(came) and now < until
        ended = []
        for key, mask in came:
            only_output = only_output and key.data == ("output", "")
            match key.data:
                case None:
                    self._take_signals()
                case ("control", _):
                    self._heard += self._clients.hear()
                case ("output", _):
                    self._outlets.hear(self._run_of)
                case ("channel", str(name)):
                    self._talk(name, mask)
                case ("helper", str(name)):
                    self._helper_ended(name)
                case (_, str(incarnation)):
                    ended.append(incarnation)
        if ended:
            self._workers_ended(ended)
        return only_output

    def _run_of(self, incarnation: str) -> Run | None:
        child = self.fleet.children.get(incarnation)
        return None if child is None else self._outlook.only_run(incarnation, child.page)

    def _observe(self, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + self.fleet.policy.look_every
            self._look(now)
            self._outlets.pause()
        self._heard += self._dumps.collect(now)
        if self._strays or now >= self._strays_at:
            self._strays = False
            self._strays_at = now + _STRAYS_EVERY
            self._children.end_strays()
        if not self._heard:
            self._heard.append(Ticked())

    def _look(self, now: float) -> None:
        try:
            while self._unwatched and handles_left(1):
                self._watch(self._unwatched.pop())
            self._heard.append(self._outlook.look(self.fleet, now))
            self._blind = False
        except OSError as refused:
            if not is_out_of_handles(refused):
                raise
            if not self._blind:
                self._blind = True
                self._emit(LookFailed(why=str(refused)))

    def _take_signals(self) -> None:
        for number in self._signals.take():
            if number == signal.SIGCHLD:
                self._strays = True
                continue
            if number == signal.SIGUSR1:
                self._dumps.own()
            seen = meaning(number)
            if seen is not None:
                self._heard.append(seen)
            else:
                name = signal.Signals(number).name
                self._emit(SignalIgnored(signal=name, why="it means nothing to a daemon"))

    def _talk(self, name: str, mask: int) -> None:
        child = self._children.helpers.get(name)
        if child is None or child.channel is None:
            return
        channel = child.channel
        if mask & selectors.EVENT_WRITE:
            channel.flush()
        if mask & selectors.EVENT_READ:
            self._hear_helper(name, channel)
        self._channels.heard(name, child)

    def _hear_helper(self, name: str, channel: Lines) -> None:
        helper = self.fleet.helpers.get(name)
        for message in channel.receive():
            for seen in messages.read(name, message):
                reader = helper is not None and helper.role is Role.READER
                self._heard.append(
                    self._plan(channel, seen) if reader and isinstance(seen, Loaded) else seen
                )

    def _plan(self, channel: Lines, seen: Loaded) -> Observation:
        self._configuration.offer([*channel.fds])
        channel.fds.clear()
        try:
            return PlanRead(self._configuration.plan(self.fleet.reload.attempt), seen.note)
        except (ConfigError, OSError) as refused:
            return PlanRefused(str(refused))

    def _helper_ended(self, name: str) -> None:
        table = self._children.helpers
        how = self._children.ended(table, name)
        if how is None:
            return
        child = table[name]
        if child.channel is not None:
            # What it said last, such as why its app does not load, counts before its end.
            self._hear_helper(name, child.channel)
        self._channels.close(child)
        self._children.drop(table, name)
        self._strays = True
        self._heard.append(HelperExited(name, how))

    def _workers_ended(self, incarnations: list[str]) -> None:
        table, ends = self._children.workers, []
        for incarnation in incarnations:
            if how := self._children.ended(table, incarnation):
                self._selector.unregister(table[incarnation].pidfd)
                self._children.drop(table, incarnation)
                ends.append((incarnation, how))
        self._strays = True
        # What the others have done by now is known when these ends are judged. On the way out it is of no
        # use: nobody takes their place. And a look at all for each of many ends is quadratic.
        if self.fleet.stop is Stop.NO:
            self._look(clock.mono())
        self._heard += [self._last_words(incarnation, how) for incarnation, how in ends]

    def _last_words(self, incarnation: str, how: Exit) -> WorkerExited:
        self._outlets.end(incarnation, self._run_of)
        child = self.fleet.children.get(incarnation)
        if child is None:
            return WorkerExited(incarnation, how)
        return self._outlook.last(child, how)

    # --- doing ---

    def _carry_out(self, action: Action) -> None:  # noqa: C901, PLR0912 - one line a kind
        match action:
            case StartHelper():
                self._start_helper(action.helper)
            case EndHelper():
                if child := self._children.helpers.get(action.helper):
                    send(child.pidfd, signal.SIGKILL if action.hard else signal.SIGTERM)
            case Fork():
                self._order_fork(action)
            case Watch():
                self._watch(action)
            case Drain() | Remind():
                self._signal(action.incarnation, signal.SIGTERM)
            case Kill():
                self._signal(action.incarnation, signal.SIGKILL)
            case Dump():
                self._dumps.ask(action, self._children, self.fleet, clock.mono())
            case Tell():
                self._dumps.tell(action)
            case KillStray():
                # Late news of one that has ended may carry a number another worker has by now.
                if all(child.pid != action.pid for child in self._children.workers.values()):
                    kill_child(action.pid)
            case TakeBack():
                self._outlook.board.pages[action.page].take_back()
            case Withdraw():
                # Who has seen his page before is our child by now, and a stray.
                self._outlook.board.pages[action.page].take_back()
                self._strays = True
            case Forget():
                unlink(action.board, self._emit)
            case Adopt():
                self._configuration.adopt()
            case Discard():
                self._configuration.offer([])
            case Answer():
                self._clients.answer(action)
            case Say():
                self._emit(action.event)
            case Ready():
                self._notifier.ready()
            case Quit():
                self._code = action.code
            case _:
                assert_never(action)

    def _start_helper(self, name: str) -> None:
        helper = self.fleet.helpers[name]
        try:
            child = self._children.start_helper(
                name,
                self._configuration.argv(helper),
                self._outlets.open_helper(name),
                keep=self._configuration.keep(helper),
                takes_fds=helper.role is Role.READER,
                needs_place=helper.role in READS_THE_APP,
            )
        except HostError as refused:
            self._heard.append(HelperExited(name, Exit(), str(refused)))
            return
        self._channels.open(name, child)
        self._told.pop(name, None)

    def _order_fork(self, order: Fork) -> None:
        page = self._outlook.board.pages[order.page]
        page.hand_out(
            incarnation=order.incarnation, queue=order.queue, slot=order.slot, cells=order.cells
        )
        child = self._children.helpers.get(order.helper)
        if not handles_left(_KEPT_FREE):
            self._heard.append(Refused(order.incarnation, _NO_HANDLES))
            return
        if child is None or child.channel is None or child.channel.closed:
            self._heard.append(Refused(order.incarnation, f"{order.helper} does not run"))
            return
        output = self._outlets.open(order.incarnation, order.slot)
        message = order.message(output=output is not None)
        if (
            not self._channels.say(order.helper, child, message, output)
            and not child.channel.closed
        ):
            self._heard.append(Refused(order.incarnation, f"{order.helper} is too far behind"))
        # A channel that broke while sending leaves open whether it arrived: the helper's end settles it.

    def _watch(self, action: Watch) -> None:
        try:  # our child, watched or not: it does not go before it is waited for
            child = self._children.watch(action.incarnation, action.pid)
        except OSError as refused:
            self._emit(LookFailed(why=str(refused)))
            self._unwatched.append(action)
            return
        if child is None:
            self._heard.append(self._last_words(action.incarnation, Exit()))
        else:
            data = ("worker", action.incarnation)
            self._selector.register(child.pidfd, selectors.EVENT_READ, data)

    def _signal(self, incarnation: str, number: int) -> None:
        if child := self._children.workers.get(incarnation):
            send(child.pidfd, number)

    # --- telling ---

    def _publish(self) -> None:
        now = clock.mono()
        is_time = now >= self._publish_at
        if is_time:
            self._publish_at = now + _PUBLISH_EVERY
        for name, helper in self.fleet.helpers.items():
            message = publish.message_for(helper.role, self.fleet)
            child = self._children.helpers.get(name)
            if message is None or child is None or child.channel is None:
                continue
            # One message at a time: the next, newer one goes when this one has left.
            if (is_time or message != self._told.get(name)) and not child.channel.pending():
                self._channels.say(name, child, message)
                self._told[name] = message
        self._paper.write(self.fleet)
