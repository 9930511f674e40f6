"""`jobd jobs cancel`: by id or by filter; see jobd.cli.jobs_verb."""

from __future__ import annotations

from jobd.cli.jobs_verb import make

command = make(
    "cancel",
    "Cancel jobs: what waits is gone at once, what runs is told so.",
    forcible=True,
)
