"""`jobd demo`: become the example shop's conductor. It is in the repository, not in the package."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

import jobd
from jobd.core.errors import ConfigError

_CONDUCTOR = Path("examples/shop/__main__.py")


@click.command("demo")
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Resize the images of this folder instead of generated ones.",
)
def command(images: Path | None) -> None:
    """Run the example shop: mail, images and reports, with a crash on the way."""
    top = _checkout()
    arguments = [] if images is None else ["--images", str(images.resolve())]
    os.chdir(top)
    sys.stdout.flush()
    os.execv(  # noqa: S606 - no shell on purpose
        sys.executable, [sys.executable, "-m", "examples.shop", *arguments]
    )


def _checkout() -> Path:
    tops = (Path.cwd(), Path(jobd.__file__).resolve().parents[1])
    for top in tops:
        if (top / _CONDUCTOR).is_file():
            return top
    raise ConfigError(
        f"demo: no {_CONDUCTOR.parent} in {tops[0]}; expected a checkout of jobd's repository, "
        "the installed package does not hold the example; "
        "run `make demo` (or `jobd demo`) at the top of one"
    )
