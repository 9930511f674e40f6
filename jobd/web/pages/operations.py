"""Operations on many jobs: how far each is, and how it ended."""

from __future__ import annotations

from jobd.core.names import check_name
from jobd.web.api.house import House
from jobd.web.pages.page import Ask, Model, Page, watched
from jobd.web.pages.terminal import operation_command


def read_all(house: House, _ask: Ask) -> Model:
    """Read those that are remembered."""
    return {"operations": house.operations.all()}


def read_one(house: House, ask: Ask) -> Model:
    """Read one. Raises NoSuchOperation."""
    name = check_name(ask.path["operation"], what="operation")
    found = house.operations.get(name)
    return {"operation": found, "command": operation_command(found)}


LIST = watched(
    Page("/operations", "operations", "Operations", "operations.html", read_all, "operations")
)
ONE = watched(
    Page(
        "/operations/{operation}", "operation", "Operation {operation}", "operation.html", read_one,
        "operations",
    )
)  # fmt: skip
PAGES = (LIST, ONE)
