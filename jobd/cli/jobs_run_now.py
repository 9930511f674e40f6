"""`jobd jobs run-now`: by id or by filter; see jobd.cli.jobs_verb."""

from __future__ import annotations

from jobd.cli.jobs_verb import make

command = make(
    "run-now",
    "Let delayed jobs run as soon as workers are free.",
    forcible=False,
)
