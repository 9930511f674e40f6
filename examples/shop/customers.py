"""The customers, who do not exist: orders as they would come in, the same every time."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

from examples.shop.orders import Order

FIRST_DAY, DAYS = date(2026, 1, 1), 28
EXPRESS_SHARE = 0.1

_NAMES = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Tony", "Leslie", "Frances", "Ken", "Radia")
_ITEMS = (("teapot", 3490), ("notebook", 890), ("lamp", 5900), ("chair", 12900), ("poster", 1500))


def orders(count: int) -> Iterator[Order]:
    """Make `count` orders, spread over the days."""
    chance = random.Random(7)
    for number in range(1, count + 1):
        item, price = chance.choice(_ITEMS)
        pieces = chance.randint(1, 4)
        name = chance.choice(_NAMES)
        yield Order(
            id=number,
            day=(FIRST_DAY + timedelta(days=(number - 1) * DAYS // count)).isoformat(),
            customer=name,
            address=f"{name.lower()}.{number}@customer.example",
            item=item,
            pieces=pieces,
            cents=pieces * price,
            express=chance.random() < EXPRESS_SHARE,
        )
