"""Code that must type-check as it stands; mypy --strict reads it, nobody runs it."""

from typing import assert_type

from jobd import Discard, Exponential, Job, Jobd, JobHandle, Retry, Snooze
from jobd.testing import AddedJob, Ran, inline, recorded, world

app = Jobd("redis://127.0.0.1:1/0")
email = app.queue("email", attempts=5, backoff=Exponential("2s"))


@email.task("welcome")
def welcome(user_id: int, address: str = "x") -> bool:
    return bool(user_id and address)


@email.task()
def with_context(job: Job, text: str) -> str:
    return job.id + text


@email.task(give_up_on=LookupError, backoff=lambda failures: failures)
def wishes(job: Job, n: int) -> None:
    if job.snoozed:
        raise Retry(after="5m", why="busy")
    if n:
        raise Discard("of no use")
    raise Snooze("1h")


def typed() -> None:
    """A handle knows its result; the job context is nobody's argument to give."""
    assert_type(welcome.enqueue(7, address="a@b.example"), JobHandle[bool])
    assert_type(welcome.enqueue(user_id=7).result(), bool)
    assert_type(with_context.enqueue(text="t"), JobHandle[str])
    assert_type(with_context.using(delay="5m").enqueue(text="t"), JobHandle[str])


def typed_tests() -> None:
    """What tests of applications hold."""
    with recorded(app) as added, inline(app, failures="record") as ran:
        assert_type(added.assert_one(welcome, user_id=7), AddedJob)
        assert_type(ran.of("welcome"), list[AddedJob])
    with world(app) as it:
        assert_type(it.settle(), list[Ran])


async def typed_async() -> None:
    """The same for the asynchronous calls."""
    assert_type(await welcome.aenqueue(7), JobHandle[bool])
    assert_type(await welcome.enqueue(7).aresult(), bool)


def refused() -> None:
    """Wrong calls are errors: each ignore below would itself be one, were its error missing."""
    welcome.enqueue("7")  # type: ignore[arg-type]
    welcome.enqueue()  # type: ignore[call-arg]
    Snooze()  # type: ignore[call-arg]
    Retry(after=object())  # type: ignore[arg-type]
    welcome.enqueue(user=7)  # type: ignore[call-arg]
    with_context.enqueue(1)  # type: ignore[arg-type]
