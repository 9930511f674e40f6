"""`jobd jobs retry`: by id or by filter; see jobd.cli.jobs_verb."""

from __future__ import annotations

from jobd.cli.jobs_verb import make

command = make(
    "retry",
    "Put dead (or cancelled) jobs back in line; their attempts start anew.",
    forcible=False,
)
