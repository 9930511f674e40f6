"""A server that drops who connects is told apart from one that is not there."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from jobd import Jobd
from jobd.core.errors import BrokerUnavailable


@pytest.fixture
def dropping() -> Iterator[int]:
    """A port that does as Redis in protected mode does to other hosts: it says no, and is gone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_drop, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(30)


def _drop(listener: socket.socket) -> None:
    while True:
        try:
            wire, _ = listener.accept()
        except OSError:
            return
        with wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_who_is_dropped_is_told_to_look_there(dropping: int) -> None:
    """Not to start what runs."""
    with pytest.raises(BrokerUnavailable, match=r"reset|pipe") as refused:
        Jobd(f"redis://127.0.0.1:{dropping}/0").queue("q").add("t")
    assert "see its log" in str(refused.value)
    assert "protected mode" in str(refused.value)
    assert "start it" not in str(refused.value)
