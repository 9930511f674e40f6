"""`jobd jobs delete`: by id or by filter; see jobd.cli.jobs_verb."""

from __future__ import annotations

from jobd.cli.jobs_verb import make

command = make(
    "delete",
    "Delete the records of jobs that have ended; by a filter, of the dead.",
    forcible=False,
)
