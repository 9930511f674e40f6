"""The one error of the suite that is an answer and not a bug."""


class RunFailed(Exception):
    """A system did not do its jobs in this run. It is reported in its row; other systems go on."""
