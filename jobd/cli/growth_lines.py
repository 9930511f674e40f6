"""Which tasks make workers grow, in words for people: on all hosts, the worst first.

Growth of some MB is no news: caches fill, and allocators keep what they have. Printed by `jobd status`.
"""

from __future__ import annotations

from collections import Counter

from jobd.cli.output import printable
from jobd.cli.picture import Picture
from jobd.cli.picture_lines import Line, daemons
from jobd.cli.table import cropped
from jobd.core.sizes import size_words

_WORTH_TELLING = 20 * 1000**2
_MOST = 5


def growth_lines(picture: Picture, width: int | None) -> list[Line]:
    """Name each task that has taken much, with what a job of it adds."""
    sizes: Counter[tuple[str, str]] = Counter()
    jobs: Counter[tuple[str, str]] = Counter()
    for daemon in daemons(picture):
        for queue, view in daemon.queues.items():
            for grown in view.growth:
                sizes[queue, grown.task] += grown.bytes
                jobs[queue, grown.task] += grown.jobs
    found = [
        f"grows    {queue}: {task}: +{size_words(round(size / max(1, jobs[queue, task])))} a job "
        f"over {jobs[queue, task]} jobs"
        for (queue, task), size in sizes.most_common(_MOST)
        if size >= _WORTH_TELLING
    ]
    shown = [printable(text) for text in found]
    lines = [Line(text if width is None else cropped(text, width), "warn") for text in shown]
    return [Line(""), *lines] if lines else []
