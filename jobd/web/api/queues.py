"""Queues: their figures and tasks; pause, resume."""

from __future__ import annotations

import msgspec

from jobd.client.hold import read_hold, was_paused
from jobd.web.api.endpoint import Body, Call, Endpoint
from jobd.web.api.house import House
from jobd.web.api.kinds import Name, Words


class Pause(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is paused: the queue, or one task of it. `why` is for people who wonder."""

    task: Name | None = None
    why: Words = ""


class Resume(Body, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is resumed: the queue, or one task of it."""

    task: Name | None = None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `changed` is false where it was so already."""

    queue: str
    task: str | None
    paused: bool
    changed: bool


def _pause(house: House, call: Call) -> Held:
    queue, body = call.path["queue"], call.body
    task, why = read_hold(queue, body.task, body.why)
    changed = was_paused(house.store(queue).pause(task, why), queue)
    return Held(queue=queue, task=body.task, paused=True, changed=changed)


def _resume(house: House, call: Call) -> Held:
    queue, body = call.path["queue"], call.body
    task, _ = read_hold(queue, body.task, "")
    changed = house.store(queue).resume(task) == "resumed"
    return Held(queue=queue, task=body.task, paused=False, changed=changed)


ENDPOINTS = [
    Endpoint(
        "POST", "/queues/{queue}/pause", "pause_queue", "queues",
        "Let nothing more of a queue begin, or of one of its tasks, on any host. What runs goes on.",
        _pause, Held, body=Pause,
    ),
    Endpoint(
        "POST", "/queues/{queue}/resume", "resume_queue", "queues",
        "Let a queue go on, or one of its tasks.",
        _resume, Held, body=Resume,
    ),
]  # fmt: skip
