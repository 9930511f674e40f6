"""The shop's orders, in SQLite: the truth the jobs work from.

A job carries an order's number and nothing else; whatever runs later reads what is true then.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

_TABLES = """
create table if not exists orders (
    id integer primary key, day text not null, customer text not null, address text not null,
    item text not null, pieces integer not null, cents integer not null, express integer not null
);
create index if not exists by_day on orders (day);
create table if not exists sent (message text primary key);
"""


@dataclass(frozen=True, slots=True)
class Order:
    """One order. `cents` is the total, `day` an ISO date."""

    id: int
    day: str
    customer: str
    address: str
    item: str
    pieces: int
    cents: int
    express: bool


class Orders:
    """The database in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> None:
        """Make the tables. Harmless when they exist."""
        with self._open() as database:
            database.execute("pragma journal_mode = wal")  # readers and a writer side by side
            database.executescript(_TABLES)

    def place(self, orders: Iterable[Order]) -> None:
        """Write new orders, all or none."""
        with self._open() as database:
            database.executemany(
                "insert into orders values (?, ?, ?, ?, ?, ?, ?, ?)", map(astuple, orders)
            )

    def get(self, order_id: int) -> Order:
        """Read one order. Raises LookupError."""
        for order in self._read("select * from orders where id = ?", order_id):
            return order
        raise LookupError(f"order {order_id}: not in {self._path.name}")

    def all(self) -> list[Order]:
        """Read every order, oldest first."""
        return list(self._read("select * from orders order by id"))

    def of_day(self, day: date) -> list[Order]:
        """Read the orders of one day."""
        return list(self._read("select * from orders where day = ? order by id", day.isoformat()))

    def was_sent(self, message: str) -> bool:
        """Say whether a message was handed to the mail server."""
        with self._open() as database:
            found = database.execute("select 1 from sent where message = ?", (message,))
            return found.fetchone() is not None

    def mark_sent(self, message: str) -> None:
        """Remember that a message was handed to the mail server. Harmless when repeated."""
        with self._open() as database:
            database.execute("insert or ignore into sent values (?)", (message,))

    def _read(self, query: str, *values: object) -> Iterator[Order]:
        with self._open() as database:
            for row in database.execute(query, values).fetchall():
                yield replace(Order(*row), express=bool(row[-1]))  # SQLite keeps truth as 0 and 1

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = _connection(self._path, os.getpid())
        with database:  # one transaction
            yield database


@cache
def _connection(path: Path, pid: int) -> sqlite3.Connection:
    """Open the file once a process: the last one to close it writes all of it to the disk.

    `pid` is in the key because workers are forked, and must not go on with their parent's connection.
    """
    del pid
    database = sqlite3.connect(path, timeout=10)
    database.execute("pragma synchronous = normal")
    return database
