"""The receiving mail server, in its own process: `python -m examples.shop.show.sink FOLDER`.

Prints its port, then keeps each message it accepts as FOLDER/<local part of its Message-ID>.eml. A
message that comes twice is kept once, as a mailbox does, but both deliveries are in deliveries.log.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from email import message_from_bytes
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from examples.shop.files import whole

DELIVERIES = "deliveries.log"


class Mailbox:
    """What aiosmtpd calls with each message."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = (folder / DELIVERIES).open("a")

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Keep a message. Answering 250 means: it is on disk."""
        del server, session
        content = envelope.original_content or b""
        key = message_from_bytes(content)["Message-ID"]
        if not key:
            return "554 no Message-ID"
        name = str(key).strip("<>").partition("@")[0]
        if not name.replace("-", "").isalnum():
            return "554 a strange Message-ID"
        with whole(self._folder / f"{name}.eml") as temporary:
            temporary.write_bytes(content)
        self._log.write(name + "\n")
        self._log.flush()
        return "250 kept"


async def _serve(folder: Path) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailbox = Mailbox(folder)
    server = await loop.create_server(
        lambda: SMTP(mailbox, hostname="sink.example", loop=loop), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()


def main(argv: list[str]) -> int:
    """Serve until told to stop."""
    folder = Path(argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    asyncio.run(_serve(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
