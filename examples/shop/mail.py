"""Mail to customers, over SMTP."""

from __future__ import annotations

import smtplib
from email.message import EmailMessage

from examples.shop.orders import Order, Orders
from examples.shop.settings import Settings

DOMAIN = "shop.example"


def confirmation(order: Order) -> EmailMessage:
    """Write the confirmation of an order."""
    return _message(
        order,
        kind="order",
        subject=f"Your order no. {order.id}",
        text=(
            f"Dear {order.customer},\n\nthank you for ordering {order.pieces} x {order.item}.\n"
            f"Total: {order.cents / 100:.2f} EUR.\n"
            + ("It leaves today by express.\n" if order.express else "It leaves tomorrow.\n")
        ),
    )


def question(order: Order) -> EmailMessage:
    """Ask how the customer likes it."""
    return _message(
        order,
        kind="review",
        subject=f"How do you like your {order.item}?",
        text=f"Dear {order.customer},\n\ntwo words would help other customers.\n",
    )


def send_once(message: EmailMessage, orders: Orders, where: Settings) -> bool:
    """Hand a message to the mail server unless that was done; say whether it was now.

    A mail cannot be taken back, and no transaction spans a mail server and a database. So the shop
    remembers what it sent, and looks before it sends. Between sending and remembering a process can
    still die: then the mail goes out again, but under the same Message-ID, by which mailboxes
    recognise it. That is as good as it gets, here and everywhere.
    """
    key = str(message["Message-ID"])
    if orders.was_sent(key):
        return False
    # A name for EHLO, or smtplib asks DNS for ours; a time-out, or a silent server holds a worker.
    with smtplib.SMTP(
        where.smtp_host, where.smtp_port, local_hostname=DOMAIN, timeout=10
    ) as server:
        server.send_message(message)
    orders.mark_sent(key)
    return True


def _message(order: Order, *, kind: str, subject: str, text: str) -> EmailMessage:
    message = EmailMessage()
    message["Message-ID"] = f"<{kind}-{order.id}@{DOMAIN}>"  # made from the order: never a new one
    message["From"] = f"Shop <hello@{DOMAIN}>"
    message["To"] = order.address
    message["Subject"] = subject
    message.set_content(text)
    return message
