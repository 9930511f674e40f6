"""An application of some size, laid down as files: what a preloader is for. Used by measures.preloading.

Two hundred modules with functions, docstrings and tables as real ones have them, and numpy where it is
installed. A job calls functions of a tenth of the modules: most of a large application is code that a
given worker never runs.
"""

import random
from importlib.util import find_spec
from pathlib import Path

MODULES = 200
TOUCHED = 20
_FUNCTIONS = 120
_ROWS = 1_500

_FUNCTION = '''
def f{n}(order, *, rate={n}, name="case {n} of {m}"):
    """Work out case {n} of module {m}: {words}.

    The rate is applied once; what is left over goes to the next step.
    """
    total = [order * rate + step for step in range({n} % 7 + 1)]
    report = {{"name": name, "total": sum(total), "steps": len(total), "case": {n}}}
    if report["total"] > {m} * 1000:
        report["note"] = "above the limit of module {m}"
    return report
'''

_APP = """
import importlib, os, random
from jobd import Jobd

{numpy}
modules = [importlib.import_module(f"heavy.m{{number:03}}") for number in range({modules})]
app = Jobd()
bench = app.queue("bench")

@bench.task()
def touch() -> int:
    here = random.Random(os.getpid())
    done = 0
    for module in here.sample(modules, {touched}):
        for number in range(0, {functions}, 10):
            done += getattr(module, f"f{{number}}")(number)["steps"]
        done += len(module.TABLE[number])
    return done
"""


def has_numpy() -> bool:
    return find_spec("numpy") is not None


def lay(directory: Path) -> str:
    """Write the application into a directory; returns what `app` is set to."""
    package = directory / "heavy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for number in range(MODULES):
        (package / f"m{number:03}.py").write_text(_module(number), encoding="utf-8")
    numpy = "import numpy; weights = numpy.random.rand(1_000_000)" if has_numpy() else ""
    text = _APP.format(numpy=numpy, modules=MODULES, touched=TOUCHED, functions=_FUNCTIONS)
    (directory / "heavy_app.py").write_text(text, encoding="utf-8")
    return "heavy_app:app"


def _module(number: int) -> str:
    rng = random.Random(number)
    words = ["invoice", "customer", "delivery", "warehouse", "discount", "currency", "region"]
    functions = [
        _FUNCTION.format(n=n, m=number, words=" ".join(rng.choices(words, k=25)))
        for n in range(_FUNCTIONS)
    ]
    table = f'TABLE = {{n: f"row {{n}} of module {number}" for n in range({_ROWS})}}\n'
    return "".join(["import json, re\n", *functions, "\n", table])
