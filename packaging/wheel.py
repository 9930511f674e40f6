"""Called by hatchling when it builds a wheel: adds the shop, so that `jobd demo` needs no checkout.

Not for an editable install, which has the checkout: a copy there would only grow old.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShopInTheWheel(BuildHookInterface):  # type: ignore[type-arg]
    """Lays `examples/` below the package, where `jobd/cli/demo.py` looks for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name one more folder to include. `version` is the kind of wheel, standard or editable."""
        if version != "editable":
            build_data["force_include"]["examples"] = "jobd/_demo/examples"
