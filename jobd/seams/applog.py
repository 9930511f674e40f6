"""Events in somebody else's process: they go to `logging`, where the application has its own log.

Invariant: a record is one line without a control character in it. The fields are in the record too, as
`record.jobd`, for handlers that write structures. Used by what an application mounts: jobd.web.mounted.
"""

from __future__ import annotations

import logging

from jobd.core.events import LEVELS, Event
from jobd.seams.log import Emit
from jobd.seams.logforms import as_words


def to_logger(name: str) -> Emit:
    """Give what writes events to the logger of that name, at their own levels.

    Where nobody has set its level it is INFO: the audit log is not to be lost by Python's default.
    """
    logger = logging.getLogger(name)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)

    def emit(event: Event) -> None:
        facts = ((field, getattr(event, field)) for field in event.__struct_fields__)
        fields = {field: value for field, value in facts if value is not None}
        logger.log(LEVELS[event.level], "%s", as_words(event, fields), extra={"jobd": fields})

    return emit
