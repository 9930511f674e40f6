"""The table of queues: how many jobs are in each state, and what holds a queue back."""

from __future__ import annotations

from collections.abc import Mapping

from jobd.broker.flow import Flow
from jobd.cli.flow_words import flow_words
from jobd.cli.table import print_table
from jobd.core.states import STATES


def print_queues(counts: Mapping[str, Mapping[str, int]], flows: Mapping[str, Flow]) -> None:
    """Print a line for each queue."""
    rows = [
        (queue, *(jobs[state] for state in STATES), flow_words(flows[queue]))
        for queue, jobs in counts.items()
    ]
    print_table(("QUEUE", *(state.upper() for state in STATES)), rows, remark="NOTE")
