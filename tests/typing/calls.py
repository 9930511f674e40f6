"""Code that must type-check as it stands; mypy --strict reads it, nobody runs it."""

from datetime import UTC, datetime
from typing import assert_type

from jobd import Discard, Exponential, Job, Jobd, JobEvent, JobHandle, Retry, Snooze, Unique
from jobd.testing import AddedJob, Ran, inline, recorded, world

app = Jobd("redis://127.0.0.1:1/0")
email = app.queue("email", attempts=5, backoff=Exponential("2s"))


@email.task("welcome")
def welcome(user_id: int, address: str = "x") -> bool:
    return bool(user_id and address)


@email.task()
def with_context(job: Job, text: str) -> str:
    return job.id + text


@email.cron("0 9 * * *", tz="Europe/Berlin", args={"text": "t"})
@email.task()
def scheduled(job: Job, text: str) -> str:
    return job.id + text


@email.every("5m", unique=True)
def tidy(most: int = 10) -> int:
    return most


@email.task(give_up_on=LookupError, backoff=lambda failures: failures)
def wishes(job: Job, n: int) -> None:
    if job.snoozed:
        raise Retry(after="5m", why="busy")
    if n:
        raise Discard("of no use")
    raise Snooze("1h")


@email.task()
async def looks_up(job: Job, n: int) -> dict[str, int]:
    return {job.id: n}


@email.task()
async def plain_async(n: int) -> int:
    return n


def typed() -> None:
    """A handle knows its result; the job context is nobody's argument to give."""
    assert_type(welcome.enqueue(7, address="a@b.example"), JobHandle[bool])
    assert_type(welcome.enqueue(user_id=7).result(), bool)
    assert_type(with_context.enqueue(text="t"), JobHandle[str])
    assert_type(with_context.using(delay="5m").enqueue(text="t"), JobHandle[str])


def typed_schedules() -> None:
    """A task stays what it is under a schedule, and a function becomes one."""
    assert_type(scheduled.enqueue(text="t"), JobHandle[str])
    assert_type(tidy.enqueue(most=7), JobHandle[int])
    assert_type(tidy(7), int)
    assert_type(email.schedules.put("n", tidy, {"most": 7}, every="1h"), str)


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
    assert_type(looks_up.enqueue(1), JobHandle[dict[str, int]])
    assert_type(await looks_up.enqueue(n=1).aresult(), dict[str, int])
    assert_type(await plain_async(1), int)
    assert_type(plain_async.using(delay="5m").enqueue(n=1).result(), int)


@email.task(unique=Unique(by="user_id", until="started", replace=True))
def once(user_id: int) -> None: ...


def typed_once() -> None:
    """A lock changes no type."""
    assert_type(once.using(unique={"key": "k"}, group="eu").enqueue(7), JobHandle[None])
    Unique(until="ttl", ttl="10m")
    Unique(key=7)  # type: ignore[arg-type]


def refused() -> None:
    """Wrong calls are errors: each ignore below would itself be one, were its error missing."""
    welcome.enqueue("7")  # type: ignore[arg-type]
    welcome.enqueue()  # type: ignore[call-arg]
    Snooze()  # type: ignore[call-arg]
    Retry(after=object())  # type: ignore[arg-type]
    welcome.enqueue(user=7)  # type: ignore[call-arg]
    with_context.enqueue(1)  # type: ignore[arg-type]
    looks_up.enqueue("1")  # type: ignore[arg-type]


def charge(order: int, *, key: str) -> float:
    return float(order) + len(key)


async def acharge(order: int) -> str:
    return str(order)


async def steps(job: Job) -> None:
    """A step gives what its function gives, and takes what it takes."""
    assert_type(job.once("charge", charge, 7, key="k"), float)
    assert_type(await job.aonce("charge", charge, 7, key="k"), float)
    assert_type(await job.aonce("charge", acharge, 7), str)
    job.progress(0.5, "half")
    job.log("line")
    job.once("charge", charge, "7", key="k")  # type: ignore[arg-type]
    job.once("charge", charge, 7)  # type: ignore[call-arg]


@app.on("dead")
def dead(event: JobEvent) -> None:
    assert_type(event.cause, str | None)


assert_type(dead(JobEvent(event="dead", id="a", queue="q", task="t", at=datetime.now(UTC))), None)
