-- resume: delayed -> waiting, for the jobs of a task that was paused; or the queue is claimed from again
-- KEYS    leases waiting delayed meta off wake_list job:*
-- ARGV    now task limit
-- WITH    paused_tasks
-- REPLY   resumed | running | more
-- REPLAY  what is not paused is answered `running`; what came back is not set aside any more
-- WHY     task '' is the whole queue: its pause ends, and so does a wait that a task asked for by
--         Throttle. The jobs of a task come back to their own places in line, `limit` a call, and
--         `more` says to call again; should nobody, claims go on with it.
open_the_door(leases)
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(meta, 'hash') or expect(off, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
if task == '' then
  local held_back = redis.call('HDEL', meta, 'paused', 'not_before')
  redis.call('HDEL', meta, 'paused_why', 'throttled_by')
  if held_back == 0 then return { 'running' } end
  wake(wake_list)
  return { 'resumed' }
end
local score = score_of(redis.call('HGET', off, task))
if score == 0 then
  redis.call('HDEL', off, task)
  return { 'running' }
end
redis.call('HSET', off, task, '-' .. int(score))
local _, all = bring_back(off, waiting, delayed, meta, job_prefix, task, int(score), tonumber(limit))
wake(wake_list)
return { all and 'resumed' or 'more' }
