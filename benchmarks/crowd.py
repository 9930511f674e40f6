"""A store that is full: a queue whose jobs nobody runs, in each state, and its neighbours.

Written by the server for itself, since a client would need many minutes. Scores are as the store gives
them: a line of its own for each job that waits, one instant for half of the delayed, as of one bulk add.
"""

import json
import time
from collections.abc import Sequence

from benchmarks.servers import RedisServer

CROWD = "crowd"
NEIGHBOURS = tuple(f"other{n}" for n in range(8))
TASKS = 20
_BITE = 2_000
_PREFIX = "0190c8f2-7e1a-7b3c-"
# The states, with what tells the ids of one from those of another.
_STATES = {"waiting": "8a01", "delayed": "8a02", "dead": "8a03"}
_MINUTES = 120
_BUCKETS = 18
# The dead of the last days: young enough to be kept.
_APART_MS = 3_000

_FILL = """
local root, state, kind = KEYS[1], ARGV[1], ARGV[2]
local first, number, now, apart = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
for i = first, first + number - 1 do
  local id = ARGV[7] .. kind .. string.format('-%012d', i)
  local score, job = '', root .. 'job:' .. id
  redis.call('HSET', job, 'task', 'task' .. i % 20, 'args', '{"user_id":' .. i .. '}', 'at',
    string.format('%.0f', now - 600000000 + i))
  if state == 'waiting' then
    score = string.format('%.0f', (5 + i % 3) * 2 ^ 40 + i)
    redis.call('HSET', job, 'seq', i)
  elseif state == 'delayed' then
    score = string.format('%.0f', now + 864000000 + (i % 2) * i)
    redis.call('HSET', job, 'due', score, 'more', 'd', 'options', '{"group":"g' .. i % 1000 .. '"}')
  else
    score = string.format('%.0f', now - i * apart)
    redis.call('HSET', job, 'cause', 'failed', 'failed', '3', 'more', '1', 'error',
      'KeyError: order ' .. i .. ' of kind ' .. string.rep('x', i % 40) .. '\\n' .. string.rep('y', 300))
  end
  redis.call('ZADD', root .. state, score, id)
end
"""


def job_id(state: str, number: int) -> str:
    """Give the id of one of its jobs."""
    return f"{_PREFIX}{_STATES[state]}-{number:012d}"


def plant(server: RedisServer, jobs: int, dead: int) -> None:
    """Write so many jobs that wait, as many that are delayed, and the dead; and what counts them."""
    now = int(time.time() * 1000)
    for state, kind in _STATES.items():
        total = dead if state == "dead" else jobs
        for first in range(0, total, _BITE):
            words = (state, kind, first, min(_BITE, total - first), now, _APART_MS, _PREFIX)
            server.client.eval(_FILL, 1, _root(CROWD), *words)
    queues = (CROWD, *NEIGHBOURS)
    server.client.sadd("jobd:queues", *queues)
    _tallies(server, queues, now // 60_000)


def _tallies(server: RedisServer, queues: Sequence[str], minute: int) -> None:
    """Twenty tasks with all their buckets, and two hours of minutes."""
    fields = {"completed|task0": 126}
    for task in range(TASKS):
        fields[f"completed|task{task}"] = 126
        for kind in ("wait", "run", "total"):
            fields |= {f"{kind}|task{task}|{bucket}": 7 for bucket in range(_BUCKETS)}
    for queue in queues:
        pipe = server.client.pipeline(transaction=False)
        pipe.hset(f"{_root(queue)}tally", mapping=fields)
        for one in range(minute - _MINUTES, minute + 1):
            ends = {"completed": 50, "failed": 2, "dead": 1}
            pipe.hset(f"{_root(queue)}minute:{one}", mapping=ends)
        pipe.execute()


def config() -> str:
    """Give the tables of jobd.toml for queues that this host does not work on."""
    names = (json.dumps(name) for name in (CROWD, *NEIGHBOURS))
    return "".join(f"[queues.{name}]\nprocesses = 0\n" for name in names)


def _root(queue: str) -> str:
    return f"jobd:{{{queue}}}:"
