"""Pictures for the shop's pages, made with Pillow."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageOps

from examples.shop.files import whole

SIZES = (160, 480, 960)
FORMATS = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def thumbnail_path(folder: Path, photo: str, size: int) -> Path:
    """Name the thumbnail of a photo. It follows from the job's arguments alone: a repeated run
    writes the same file, not a second one."""
    return folder / f"{Path(photo).stem}-{size}.jpg"


def make_thumbnail(source: Path, target: Path, size: int) -> tuple[int, int]:
    """Scale a picture to fit a square of `size` pixels; give its width and height.

    Raises OSError (PIL.UnidentifiedImageError) for what is not a picture.
    """
    with Image.open(source) as picture:
        # A camera's JPEG holds ten times the pixels needed; its decoder can leave most of them out.
        picture.draft("RGB", (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(picture).convert("RGB")
        upright.thumbnail((size, size), Image.Resampling.LANCZOS)
        with whole(target) as temporary:
            upright.save(temporary, format="JPEG", quality=85)
        return upright.size
