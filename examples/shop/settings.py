"""Where the shop keeps its things. Read from the environment, as a deployed application would.

Every process of the shop (producer, workers) gets the same two variables.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

FOLDER = "SHOP_FOLDER"
SMTP = "SHOP_SMTP"


@dataclass(frozen=True, slots=True)
class Settings:
    """The shop's folder, and its mail server."""

    folder: Path
    smtp_host: str
    smtp_port: int

    @property
    def orders(self) -> Path:
        """The shop's database."""
        return self.folder / "orders.db"

    @property
    def effects(self) -> Path:
        """What every run of a task did, a line each."""
        return self.folder / "effects.ndjson"

    @property
    def photos(self) -> Path:
        """Pictures as they were uploaded."""
        return self.folder / "photos"

    @property
    def thumbnails(self) -> Path:
        """Pictures as the shop shows them."""
        return self.folder / "thumbnails"

    @property
    def reports(self) -> Path:
        """CSV files for the accountant."""
        return self.folder / "reports"

    @property
    def marks(self) -> Path:
        """Empty files that say what happened once already."""
        return self.folder / "marks"


def settings() -> Settings:
    """Read the settings. Raises KeyError when the shop was started without them."""
    host, _, port = os.environ[SMTP].partition(":")
    return Settings(Path(os.environ[FOLDER]), host, int(port))
