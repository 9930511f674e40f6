"""A namespace in which every place that can hold text holds some of a stranger's: for pages and lists.

    names = stuff(site.api, TEXTS)       # what may stand in paths: {"queue": "q", "job": ...}
    for path in paths(PAGES, names): ...

With plain texts it is a namespace as others are, so what texts break shows by comparing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import cycle
from urllib.parse import quote

from jobd.broker import hosts
from jobd.broker.alerts import AlertStore, Move
from jobd.broker.keys import QueueKeys
from jobd.broker.schedules import ScheduleStore
from jobd.client.app import Jobd
from jobd.core.alerts.history import Change
from jobd.core.alerts.machine import InstanceState, RuleState
from jobd.core.alerts.notification import Instance
from jobd.core.portrait import Daemon, Growth, QueueView, Reload, Worker
from jobd.core.states import STATES
from jobd.web.api.operation import Progress
from jobd.web.api.problems import RequestError
from jobd.web.pages.page import Page
from support.api import NAMESPACE, Api, furnish

HOSTILE = (
    '"><img src=x onerror=alert(1)>', "' onfocus='alert(1)' x='", "</script><script>alert(1)</script>",
    "--><b>bold</b><!--part x-->", "<!--/part-->", "</title></textarea></pre><h1>", "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}", "&lt;i&gt;", "\u202egnp.exe\u2066", "a\0b\x1b[31m\r\n", "x" * 100_000,
)  # fmt: skip
PLAIN = tuple(f"plain-{n}" for n in range(len(HOSTILE)))
HOST, SLOT, SCHEDULE = "h-1:run", "q.1", "nightly"
_BY_SCORE = ("waiting", "delayed", "completed", "dead", "cancelled")


def stuff(api: Api, texts: Sequence[str]) -> dict[str, str]:
    """Fill the namespace; give names of what is there, as parts of paths."""
    ids = furnish(api.client)
    for at, job in enumerate(job for jobs in ids.values() for job in jobs):
        api.client.hset(QueueKeys(NAMESPACE, "q").job(job), mapping=_record(_from(texts, at)))
        if at % 2:  # a task that can be named, so that there are buttons, with a stranger's error
            api.client.hset(QueueKeys(NAMESPACE, "q").job(job), "task", "work")
    _strange_jobs(api, texts)
    _schedules(api, texts)
    _hosts(api, texts)
    _alerts(api, texts)
    return {
        "queue": "q", "job": ids["dead"][0], "schedule": SCHEDULE, "host": HOST, "slot": SLOT,
        "operation": _operation(api, texts),
    }  # fmt: skip


def _from(texts: Sequence[str], at: int) -> Iterator[str]:
    """Give the texts over and over, beginning elsewhere each time: so that each place comes to hold each."""
    at %= len(texts)
    return cycle((*texts[at:], *texts[:at]))


def _record(line: Iterator[str]) -> dict[str, bytes]:
    """What is recorded of a job, each text in it another one: plain fields, and JSON that can be read."""
    plain = ("task", "group", "error", "cause", "worker", "unique", "~log")
    run = {
        "kind": next(line),
        "at": 1,
        "error": next(line),
        "host": next(line),
        "worker": next(line),
    }
    valued = {
        "args": {next(line): [next(line)]}, "meta": {next(line): next(line)},
        "options": {next(line): next(line)}, "result": {next(line): next(line)},
        "history": [run, run | {"traceback": next(line), "data": next(line)}],
        "~once:" + next(line): next(line), "~progress": [0.5, next(line), 1],
    }  # fmt: skip
    found = {name: next(line).encode() + b"\xed\xa0\x80" for name in plain}
    return found | {name: json.dumps(value).encode() for name, value in valued.items()}


def _strange_jobs(api: Api, texts: Sequence[str]) -> None:
    """Jobs whose very ids are texts, in each container and held by a worker whose name is one."""
    keys = QueueKeys(NAMESPACE, "q")
    for at, text in enumerate(texts):
        for name in _BY_SCORE:
            api.client.zadd(getattr(keys, name), {text[:2000]: at})
        api.client.hset(keys.job(text[:2000]), mapping=_record(_from(texts, at)))
        api.client.zadd(keys.leases, {text[:2000]: 1 << 45})
        api.client.hset(keys.held(text[:2000]), text[:2000], "1")
        api.client.hset(keys.off, text[:2000], "1")
        api.client.hset(keys.meta, text[:2000], text[:2000])


def _schedules(api: Api, texts: Sequence[str]) -> None:
    schedules = Jobd(api._url, namespace=NAMESPACE).queue("q").schedules
    schedules.put(SCHEDULE, task="work", cron="0 3 * * *", args={texts[0]: texts[1]})
    keys = ScheduleStore(api.client, NAMESPACE, "q").keys
    for at, text in enumerate((*texts, SCHEDULE)):
        line = _from(texts, at)
        fields = {
            name: next(line) for name in ("task", "cron", "tz", "missed", "origin", "last_job")
        }
        fields |= {"args": json.dumps({next(line): next(line)}), "every": next(line)}
        if text != SCHEDULE:
            api.client.zadd(keys.schedules, {text[:2000]: 1 << 45})
        api.client.hset(keys.schedule_prefix + text[:2000], mapping=fields)


def _hosts(api: Api, texts: Sequence[str]) -> None:
    short = [text[:2000] for text in texts]
    for at, key in enumerate((HOST, *short)):
        hosts.say(api.client, NAMESPACE, key, _daemon(short, at), wall_ms=0)
    for text in texts:
        api.client.hset(f"{NAMESPACE}:hosts", "unread " + text[:2000], text[:2000])


def _daemon(texts: Sequence[str], at: int) -> Daemon:
    line = _from(texts, at)
    workers = [_worker(slot, _from(texts, at)) for at, slot in enumerate((SLOT, *texts))]
    views = {name: _view(_from(texts, at)) for at, name in enumerate(("q", *texts))}
    return Daemon(
        running=True, stopping=False, pid=7, started_at=1.0, up_for=2.0, generation=1,
        last_error=next(line), helpers={next(line): next(line)}, workers=workers, nonce=next(line),
        jobd=next(line), host=next(line), runtime_dir=next(line), queues=views,
        reload=Reload(ago=1.0, error=next(line)), workers_in_all=len(workers),
    )  # fmt: skip


def _worker(slot: str, line: Iterator[str]) -> Worker:
    return Worker(
        slot=slot, queue=next(line), phase=next(line), pid=7, incarnation=next(line), restarts=1,
        last_exit=next(line), running=1, job=next(line), task=next(line), running_for=5.0,
        up_for=9.0, memory=1 << 20, memory_past=[1, 2, 3], exits={next(line): 2}, leaving=next(line),
    )  # fmt: skip


def _view(line: Iterator[str]) -> QueueView:
    return QueueView(
        wanted=1, explain=next(line), exits={next(line): 1}, gave_up=True,
        growth=[Growth(task=next(line), bytes=5, jobs=5)],
    )  # fmt: skip


def _alerts(api: Api, texts: Sequence[str]) -> None:
    store, moves = AlertStore(api.client, NAMESPACE), []
    for text in texts:
        seen = {
            of: InstanceState(phase="firing", since_ms=1, seen_ms=2, value=1.0, shown=text)
            for of in texts
        }
        named = [Instance(of=of[:200], value=1.0, shown=text[:160]) for of in texts[:5]]
        change = Change(
            rule=text, what="firing", at_ms=5, kind=text, instances=named, by=text, host=text
        )
        state = RuleState(instances=seen, told_ms=1, looked_ms=2, kind=text)
        moves.append(Move(text, b"", state, changes=[change]))
    assert set(store.move(moves)) == {"moved"}
    for text in texts:
        store.mute(text, 3_600_000, by=text)


def _operation(api: Api, texts: Sequence[str]) -> str:
    def work(progress: Progress) -> bool:
        progress.tell(1, 2, {text[:2000]: 1 for text in texts})
        raise RequestError("".join(text[:2000] for text in texts))

    it = api.house.operations.start(
        work, verb=texts[0], queue="q", by=texts[1],
        which={text[:2000]: text[:2000] for text in texts} | {"states": texts[0], "task": texts[1]},
    )  # fmt: skip
    return it.id


def paths(pages: Iterable[Page], names: Mapping[str, str], *, more: bool = False) -> list[str]:
    """Give a path of each page, and of lists one for each state; what it names stands in `names`.

    `more`: several of each kind of thing, in which texts stand in other places.
    """
    found = []
    for page in pages:
        path = page.path.format_map({name: quote(text, safe="") for name, text in names.items()})
        found.append(path)
        if more and "{job}" in page.path:
            found += [
                path.replace("dead-0", f"{state}-{n}")
                for state in ("completed", "dead")
                for n in range(1, 6)
            ]
        if page.path == "/queues/{queue}/jobs":
            found += [f"{path}?state={state}" for state in STATES]
    return found
