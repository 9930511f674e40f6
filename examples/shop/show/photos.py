"""Pictures to work on: the user's own, or some that are made here."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

from examples.shop.pictures import FORMATS

GENERATED = 40
MOST = 80
_SIZE = (1600, 1120)
_PART = (400, 280)  # drawn small and scaled up: drawing is the slow part


def borrow(source: Path, folder: Path) -> int:
    """Link the pictures below `source` into `folder` under plain names; give their number.

    Links, not copies: nothing of the user's is written to. At most MOST, in the order of their names.
    """
    folder.mkdir(parents=True)
    count = 0
    for path in _pictures_below(source):
        count += 1
        stem = re.sub(r"[^A-Za-z0-9_.]+", "_", path.stem)[:60]
        (folder / f"{count:04d}-{stem}{path.suffix.lower()}").symlink_to(path.absolute())
        if count == MOST:
            break
    return count


def _pictures_below(source: Path) -> Iterator[Path]:
    for top, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = Path(top, name)
            if path.suffix.lower() in FORMATS and path.is_file():
                yield path


def generate(folder: Path, count: int = GENERATED) -> int:
    """Make landscapes: sky, sun, hills. The same every time."""
    folder.mkdir(parents=True)
    chance = random.Random(11)
    for number in range(1, count + 1):
        _landscape(chance).save(folder / f"view-{number:04d}.jpg", quality=88)
    return count


def _landscape(chance: random.Random) -> Image.Image:
    width, height = _PART
    low, high = _colour(chance, 150, 250), _colour(chance, 30, 120)
    ramp = Image.linear_gradient("L").resize(_PART)
    picture = Image.composite(Image.new("RGB", _PART, low), Image.new("RGB", _PART, high), ramp)
    draw = ImageDraw.Draw(picture)
    x, y, r = chance.randint(60, width - 60), chance.randint(40, 130), chance.randint(12, 36)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(chance, 220, 255))
    for layer in range(4):
        base = height * (5 + layer) // 9
        points = [(0, height)]
        points += [(x, base + chance.randint(-36, 28)) for x in range(0, width + 40, 40)]
        draw.polygon([*points, (width, height)], fill=_colour(chance, 20, 130 - 25 * layer))
    return picture.filter(ImageFilter.SMOOTH).resize(_SIZE, Image.Resampling.BILINEAR)


def _colour(chance: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return chance.randint(low, high), chance.randint(low, high), chance.randint(low, high)
