"""What the supervisor does: each action that was decided on is carried out, and none more.

Invariant: an action that cannot be carried out is heard of as an observation, never raised. Called by
jobd.supervisor.loop.
"""

from __future__ import annotations

import signal
from collections import deque
from typing import assert_never

from jobd.core.errors import HostError
from jobd.seams import clock
from jobd.seams.exits import Exit
from jobd.seams.host import handles_left, send
from jobd.seams.log import Log
from jobd.seams.systemd import Notifier
from jobd.supervisor.channels import Channels
from jobd.supervisor.children import Children, kill_child, unlink
from jobd.supervisor.clients import Clients
from jobd.supervisor.configuration import Configuration
from jobd.supervisor.dumps import Dumps
from jobd.supervisor.ears import Ears
from jobd.supervisor.fleet import READS_THE_APP, Fleet, Role
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
    Observation,
    Quit,
    Ready,
    Refused,
    Remind,
    Say,
    StartHelper,
    TakeBack,
    Tell,
    Watch,
    Withdraw,
)
from jobd.supervisor.outlets import Outlets
from jobd.supervisor.outlook import Outlook
from jobd.supervisor.telling import Telling
from jobd.supervisor.watched import Watched

# File handles that no worker is started for: each look at a process takes one for a moment.
_KEPT_FREE = 12
_NO_HANDLES = (
    f"fewer than {_KEPT_FREE} file handles are left; expected them for looking after what runs; "
    "raise LimitNOFILE of the service, or the machine's fs.file-max"
)


class Hands:
    """Acts on the children and on what belongs to them; what comes of it goes into `heard`."""

    def __init__(
        self,
        *,
        heard: deque[Observation],
        ears: Ears,
        telling: Telling,
        clients: Clients,
        outlets: Outlets,
        outlook: Outlook,
        children: Children,
        channels: Channels,
        watched: Watched,
        configuration: Configuration,
        dumps: Dumps,
        notifier: Notifier,
        emit: Log,
    ) -> None:
        self.code: int | None = None
        """What to end with, once that is decided."""
        self._heard = heard
        self._ears = ears
        self._telling = telling
        self._clients = clients
        self._outlets = outlets
        self._outlook = outlook
        self._children = children
        self._channels = channels
        self._watched = watched
        self._configuration = configuration
        self._dumps = dumps
        self._notifier = notifier
        self._emit = emit

    def carry_out(self, action: Action, fleet: Fleet) -> None:  # noqa: C901, PLR0912 - one line a kind
        """Do one thing. `fleet` is how it is by the decision."""
        match action:
            case StartHelper():
                self._start_helper(action.helper, fleet)
            case EndHelper():
                if child := self._children.helpers.get(action.helper):
                    send(child.pidfd, signal.SIGKILL if action.hard else signal.SIGTERM)
            case Fork():
                self._order_fork(action)
            case Watch():
                if end := self._watched.watch(action, fleet):
                    self._heard.append(end)
            case Drain() | Remind():
                self._signal(action.incarnation, signal.SIGTERM)
            case Kill():
                self._signal(action.incarnation, signal.SIGKILL)
            case Dump():
                self._dumps.ask(action, self._children, fleet, clock.mono())
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
                self._ears.hear_of_strays()
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
                self.code = action.code
            case _:
                assert_never(action)

    def _start_helper(self, name: str, fleet: Fleet) -> None:
        helper = fleet.helpers[name]
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
        self._telling.begin_anew(name)

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

    def _signal(self, incarnation: str, number: int) -> None:
        if child := self._children.workers.get(incarnation):
            send(child.pidfd, number)
