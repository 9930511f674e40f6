"""The table of all endpoints: what is served, in the order in which the document tells it."""

from __future__ import annotations

from jobd.web.api import alerts, bulk, fleet, jobs, lists, queues, runs, schedules
from jobd.web.api.endpoint import Endpoint

TABLE: tuple[Endpoint, ...] = (
    *queues.ENDPOINTS,
    *lists.ENDPOINTS,
    *jobs.ENDPOINTS,
    *bulk.ENDPOINTS,
    *schedules.ENDPOINTS,
    *runs.ENDPOINTS,
    *alerts.ENDPOINTS,
    *fleet.ENDPOINTS,
)
