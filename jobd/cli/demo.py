"""`jobd demo`: become the conductor of the example shop.

The shop is `examples/shop` of a checkout, or the copy that the wheel carries: it is a program that
uses jobd, so this module starts it and imports nothing of it.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

import click

import jobd
from jobd.core.errors import ConfigError
from jobd.seams.program import python_module

_CONDUCTOR = Path("examples/shop/__main__.py")
_NEEDED = {"aiosmtpd": "aiosmtpd", "PIL": "Pillow"}


@click.command("demo")
@click.option(
    "--images",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Resize the pictures of this folder instead of generated ones; it is only read.",
)
@click.option("--orders", type=click.IntRange(1, 50_000), help="How many orders to make.")
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="A new or empty folder. Default: demo-output/<now> in this directory.",
)
def command(images: Path | None, orders: int | None, output: Path | None) -> None:
    """Run the example shop: mail, pictures and reports, with accidents and an account.

    It brings its own Redis and mail server, and ends by itself in under a minute.
    """
    if missing := [name for module, name in _NEEDED.items() if find_spec(module) is None]:
        raise ConfigError(
            f"demo: {' and '.join(missing)} not installed; expected what the shop works with; "
            "pip install 'jobd[demo]'"
        )
    given = {"--images": images, "--orders": orders, "--output": output}
    arguments = [word for name, value in given.items() if value for word in (name, str(value))]
    # Before the directory of this command, where another package may be called `examples`.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(_home()), os.environ.get("PYTHONPATH")])
    )
    sys.stdout.flush()
    os.execv(  # noqa: S606 - no shell on purpose
        sys.executable, [*python_module("examples.shop"), *arguments]
    )


def _home() -> Path:
    """Find the directory from which `examples.shop` can be imported. Raises ConfigError."""
    package = Path(jobd.__file__).resolve().parent
    for place in (package.parent, package / "_demo"):
        if (place / _CONDUCTOR).is_file():
            return place
    raise ConfigError(
        f"demo: no {_CONDUCTOR.parent} beside {package}; expected a checkout or an installed wheel "
        "of jobd; install it again, or run `make demo` in a checkout"
    )
