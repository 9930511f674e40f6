-- pause: nothing more is claimed from the queue, or of one of its tasks
-- KEYS    leases meta off
-- ARGV    now task why
-- WITH    paused_tasks
-- REPLY   paused <since> | already <since> | too_many
-- REPLAY  what is paused is answered `already`; it is paused since the first time
-- WHY     The script that claims looks here first, so once this has answered no claim brings anything.
--         What was claimed before starts within 100 ms or goes back, as always. task '' is the whole
--         queue. A paused task has a score of its own under which its jobs are set aside; one that is
--         being resumed is paused again under the same. There are a hundred at most: each claim reads them.
open_the_door(leases)
local wrong = expect(meta, 'hash') or expect(off, 'hash')
if wrong then return wrong end
local at = int(clock(now))
if task == '' then
  local since = redis.call('HGET', meta, 'paused')
  redis.call('HSET', meta, 'paused', since or at, 'paused_why', why)
  return { since and 'already' or 'paused', since or at }
end
local score, is_resuming = score_of(redis.call('HGET', off, task))
if score > 0 and not is_resuming then return { 'already', at } end
if score == 0 then
  if redis.call('HLEN', off) >= 100 then return { 'too_many' } end
  score = SET_ASIDE + redis.call('HINCRBY', meta, 'off_last', 1)
end
redis.call('HSET', off, task, int(score))
redis.call('HSET', meta, 'off', '1')
return { 'paused', at }
