"""What a stranger may have written, wherever somebody can write: tasks, jobs' records, whoever has Redis."""

from __future__ import annotations

import json
import time

from support.api import NAMESPACE, furnish
from support.daemons import eventually

from browser.house import House
from jobd.broker.keys import QueueKeys, SharedKeys
from jobd.core.states import TERMINAL

# Runs, if anything of it is taken for more than text; the elements it would make are looked for too.
EVIL = (
    "<img src=x onerror=\"window.__owned='img'\" data-owned>",
    "<script data-owned>window.__owned='script'</script>",
    '"><svg data-owned onload="window.__owned=\'svg\'">',
    "' autofocus onfocus='window.__owned=1' data-owned='",
    "</textarea></title></style></script></pre></template><b data-owned>b</b>",
    "{{7*7}}{% raw %}<!--part main--><b data-owned></b><!--/part-->",
    "javascript:window.__owned='link'",
    "&lt;b data-owned&gt;",
)
LONGEST = 1_000_000


def told(house: House) -> list[str]:
    """Let jobs of ours say evil things, as an error, in logs and progress; give their ids."""
    texts = [*EVIL, "\n".join(EVIL), "\u202egnp.exe", "a\0b\x1b[31mred"]
    said = [{"text": text} for text in texts] + [{"text": "y", "times": LONGEST}]
    handles = house.queue().add_many([("curse", args) for args in said])
    eventually("cursed", lambda: all(h.state() == "dead" for h in handles))
    return [handle.id for handle in handles]


def planted(house: House) -> list[str]:
    """Write evil into Redis itself; give ids of the jobs: each text is among them, and each state."""
    ids = furnish(house.client, "odd")
    keys, now = QueueKeys(NAMESPACE, "odd"), int(time.time() * 1000)
    found = [*ids["dead"], *ids["active"]]
    for number, text in enumerate(EVIL):
        for turn, state in enumerate((*sorted(TERMINAL), "waiting", "delayed")):
            job = f"evil-{state}-{number}"
            house.client.hset(keys.job(job), mapping=_record(text, now))
            score = now if state != "waiting" else 5 * 2**40 + number
            house.client.zadd(f"{keys.root}{state}", {job: score + (state == "delayed") * 10**9})
            if (number + turn) % len(EVIL) < 2:
                found.append(job)
        house.client.zadd(keys.dead, {text: now})
        house.client.hset(keys.job(text), mapping=_record(text, now))
    house.client.sadd(SharedKeys(NAMESPACE).queues, *EVIL)
    house.client.hset(keys.meta, mapping={"paused_why": EVIL[0], "throttled_by": EVIL[1]})
    house.client.hset(SharedKeys(NAMESPACE).alert_mutes, EVIL[0], now + 10**9)
    return found


def _record(text: str, now: int) -> dict[str, str]:
    long = "z" * LONGEST if text == EVIL[0] else ""
    run = dict.fromkeys(("host", "worker", "error", "traceback", "cause", "outcome", "task"), text)
    line = json.dumps([now, 1, text])
    return {
        "task": text,
        "args": json.dumps({"text": text, text: [text], "long": long}),
        "at": str(now),
        "cause": text,
        "error": f"{text}\n{text}{long}",
        "history": json.dumps([run | {"at": now, "started_at": now, "ended_at": now}]),
        "result": json.dumps(text),
        "meta": json.dumps({text: text}),
        "options": json.dumps({"group": text, text: text}),
        "group": text,
        "unique": text,
        "~log": f"{line}\n{line}\n",
        "~progress": json.dumps([now, 1, 0.5, text]),
        f"~step:{text}": json.dumps(text),
    }
