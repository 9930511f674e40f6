"""The application of the fault rows, as source: each host gets it with its own name inside."""

from __future__ import annotations

# A run's result is its claim number, so that the record in Redis says which run was settled.
SOURCE = '''
app = Jobd()
q = app.queue("q", attempts=5, backoff=Fixed("20ms"), max_crashes=50,
              retain={"completed": {"age": "24h", "count": 1_000_000}})
_hold_gil = ctypes.PyDLL(None).usleep

@q.task()
def quick(job: Job, uid: str) -> int:
    effect("start", uid, job)
    effect("end", uid, job)
    return job.token

@q.task()
def silent() -> None:
    """What a schedule adds: jobs that nobody counts."""

@q.task()
def nap(job: Job, uid: str, seconds: float) -> int:
    effect("start", uid, job)
    time.sleep(seconds)
    effect("end", uid, job)
    return job.token

@q.task()
def mixed(job: Job, uid: str, seconds: float, gate: str = "") -> int:
    """One name, mostly quick; one with a gate waits for that file."""
    effect("start", uid, job)
    while gate and not os.path.exists(os.path.join(_here, gate)):
        time.sleep(0.002)
    time.sleep(seconds)
    effect("end", uid, job)
    return job.token

@q.task()
def holds(job: Job, uid: str, seconds: float) -> int:
    """One name, mostly quick; else in C code that does not let go of the GIL."""
    effect("start", uid, job)
    if seconds:
        _hold_gil(int(seconds * 1_000_000))
    effect("end", uid, job)
    return job.token

@q.task()
def victim(job: Job, uid: str) -> int:
    """The first run waits to be killed. It is known for the first before it is seen, and killed."""
    is_first = first_time(uid)
    effect("start", uid, job)
    if is_first:
        time.sleep(600)
    effect("end", uid, job)
    return job.token

@q.task()
def gated(job: Job, uid: str, host: str, gate: str) -> int:
    """On one host it waits for a file; elsewhere it is done at once."""
    effect("start", uid, job)
    while HOST == host and not os.path.exists(os.path.join(_here, gate)):
        time.sleep(0.002)
    effect("end", uid, job)
    return job.token

@q.task()
def stumbles(job: Job, uid: str) -> int:
    """Fails once."""
    effect("start", uid, job)
    if first_time(uid):
        raise ValueError("as asked")
    effect("end", uid, job)
    return job.token

@q.task()
def tells(job: Job, uid: str) -> int:
    """Says much of itself, and has a step; whether its value is recorded is not always known."""
    effect("start", uid, job)
    job.progress(0.5, "half")
    job.log("a line")
    with contextlib.suppress(JobdError):
        job.once("step", lambda: uid)
    effect("end", uid, job)
    return job.token
'''
