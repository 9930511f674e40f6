"""Finding the application that `module:attribute` names, or saying in one paragraph why not.

Used by the preloader, by workers that import for themselves, and by `jobd check`.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
import traceback
from pathlib import Path

import jobd
from jobd.client.app import Jobd
from jobd.core.errors import ConfigError, JobdError
from jobd.core.suggest import nearest
from jobd.worker.record import describe

_OURS = str(Path(jobd.__file__).parent)


def load_app(reference: str) -> Jobd:
    """Import `module:attribute`. Raises ConfigError with one readable paragraph."""
    module_name, colon, attribute = reference.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigError(f"app: {reference!r}; expected 'module:attribute', as in 'shop.jobs:app'")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        found: object = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise  # whoever looks at a terminal wants to end this
    except BaseException as failure:
        raise ConfigError(_why(reference, module_name, failure)) from failure
    for name in attribute.split("."):
        found = _attribute(reference, found, name)
    if not isinstance(found, Jobd):
        raise ConfigError(
            f"app: {reference!r} is of type {type(found).__name__}; expected a jobd.Jobd; "
            "name the attribute that holds `Jobd()`"
        )
    return found


def code_fingerprint() -> str:
    """Stand for the code this process has loaded: which modules, and of which files as they are now.

    Two processes with the same one run the same code. What else an application reads when it is
    imported, its own files of settings say, is not in it.
    """
    files = set()
    for name, module in list(sys.modules.items()):
        file = vars(module).get("__file__") if hasattr(module, "__dict__") else None
        if not isinstance(file, str):
            continue
        try:
            found = Path(file).stat()
        except OSError:  # from an archive, or removed since
            files.add((name, file, 0, 0))
        else:
            files.add((name, file, found.st_mtime_ns, found.st_size))
    return hashlib.blake2b(repr(sorted(files)).encode(), digest_size=8).hexdigest()


def _attribute(reference: str, holder: object, name: str) -> object:
    try:
        return getattr(holder, name)
    except Exception as failure:
        names = getattr(holder, "__dict__", {})
        known = [key for key, value in names.items() if isinstance(value, Jobd)]
        hint = f"; name {known[0]!r} instead" if len(known) == 1 else nearest(name, known)
        place = getattr(holder, "__file__", None) or type(holder).__name__
        raise ConfigError(
            f"app: {reference!r} does not load: no {name!r} in {place}; expected the attribute "
            f"that holds `Jobd()`{hint}"
        ) from failure


def _why(reference: str, module: str, failure: BaseException) -> str:
    text = " ".join(describe(failure)[0].split())
    said = f"app: {reference!r} does not load: {text}{_where(failure)}"
    if isinstance(failure, JobdError):
        return said  # our own messages say what was expected and what to do
    if isinstance(failure, ModuleNotFoundError) and failure.name == module.partition(".")[0]:
        return (
            f"{said}; expected {failure.name}.py or {failure.name}/ in {Path.cwd()}, or an "
            "installed package; start in the directory that holds it, or correct the name"
        )
    return (
        f"{said}; expected a module that imports from {Path.cwd()}; "
        f"try: python -c 'import {module}'"
    )


def _where(failure: BaseException) -> str:
    """Name the last line of theirs that was reached; of nobody's, when there is none."""
    if isinstance(failure, SyntaxError):
        return ""  # its text names the line
    frames = [
        frame
        for frame in traceback.extract_tb(failure.__traceback__)
        if "importlib" not in frame.filename and not frame.filename.startswith(_OURS)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
