"""Reports for the accountant: orders as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from examples.shop.files import whole
from examples.shop.orders import Order

COLUMNS = ("order", "day", "customer", "item", "pieces", "cents")


def row(order: Order) -> list[str]:
    """Write an order as a row of the report."""
    values = (order.id, order.day, order.customer, order.item, order.pieces, order.cents)
    return [str(value) for value in values]


def write_report(path: Path, orders: Iterable[Order]) -> int:
    """Write a report; give the number of its rows."""
    rows = [row(order) for order in orders]
    with whole(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    return len(rows)


def read_report(path: Path) -> list[list[str]]:
    """Read a report's rows, without the heading."""
    with path.open(newline="") as file:
        return list(csv.reader(file))[1:]
