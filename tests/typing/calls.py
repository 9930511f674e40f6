"""Code that must type-check as it stands; mypy --strict reads it, nobody runs it."""

from typing import assert_type

from jobd import Exponential, Job, Jobd, JobHandle

app = Jobd("redis://127.0.0.1:1/0")
email = app.queue("email", attempts=5, backoff=Exponential("2s"))


@email.task("welcome")
def welcome(user_id: int, address: str = "x") -> bool:
    return bool(user_id and address)


@email.task()
def with_context(job: Job, text: str) -> str:
    return job.id + text


def typed() -> None:
    """A handle knows its result; the job context is nobody's argument to give."""
    assert_type(welcome.enqueue(7, address="a@b.example"), JobHandle[bool])
    assert_type(welcome.enqueue(user_id=7).result(), bool)
    assert_type(with_context.enqueue(text="t"), JobHandle[str])
    assert_type(with_context.using(delay="5m").enqueue(text="t"), JobHandle[str])


async def typed_async() -> None:
    """The same for the asynchronous calls."""
    assert_type(await welcome.aenqueue(7), JobHandle[bool])
    assert_type(await welcome.enqueue(7).aresult(), bool)


def refused() -> None:
    """Wrong calls are errors: each ignore below would itself be one, were its error missing."""
    welcome.enqueue("7")  # type: ignore[arg-type]
    welcome.enqueue()  # type: ignore[call-arg]
    welcome.enqueue(user=7)  # type: ignore[call-arg]
    with_context.enqueue(1)  # type: ignore[arg-type]
