-- trim: completed | dead | cancelled -> -
-- KEYS    leases completed dead cancelled expiring awaited meta recent:* job:*
-- ARGV    now limit completed_ms completed_keep dead_ms
-- REPLY   ok <removed>
-- REPLAY  what was removed is gone: a repeat removes what is due next
-- WHY     Retention for queues where nothing settles: by age, by the age a job asked for itself
--         (expiring), and by count. Each container is the state, so only finished jobs can be
--         found in one: a job revived in between is not there any more. At most `limit` a call.
--         What the queue's workers said when they joined goes before the three arguments.
open_the_door(leases)
for _, key in ipairs({ completed, dead, cancelled, expiring, awaited }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(meta, 'hash')
if wrong then return wrong end
local said = redis.call('HMGET', meta, 'completed_ms', 'completed_keep', 'dead_ms')
completed_ms = whole(said[1], tonumber(completed_ms))
completed_keep = whole(said[2], tonumber(completed_keep))
dead_ms = whole(said[3], tonumber(dead_ms))
local at, removed = clock(now), 0
limit = tonumber(limit)

local function remove(container, ids)
  for _, id in ipairs(ids) do
    if redis.call('ZREM', container, id) == 1 then
      redis.call('UNLINK', job_prefix .. id)
      remember(recent_prefix, at, { id })
      removed = removed + 1
    end
    redis.call('ZREM', expiring, id)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiring, '-inf', int(at), 'LIMIT', 0, limit)) do
  remove(completed, { id })
  remove(dead, { id })
end
-- A job that asked for a longer life stays until its own time. Where such jobs were all that a look
-- found, the next look begins behind them: they must not keep others alive.
local function past(container, name, age)
  local from = redis.call('HGET', meta, 'looked|' .. name) or '-inf'
  local line = redis.call('ZRANGEBYSCORE', container, from, int(at - age), 'WITHSCORES', 'LIMIT', 0, limit)
  local ids = {}
  for i = 1, #line, 2 do
    if not redis.call('ZSCORE', expiring, line[i]) then ids[#ids + 1] = line[i] end
  end
  remove(container, ids)
  if #line > 0 then redis.call('HSET', meta, 'looked|' .. name, line[#line]) end
end
past(completed, 'completed', completed_ms)
past(dead, 'dead', dead_ms)
past(cancelled, 'cancelled', completed_ms)
local excess = math.min(redis.call('ZCARD', completed) - completed_keep, limit)
if excess > 0 then remove(completed, redis.call('ZRANGE', completed, 0, excess - 1)) end
local old = math.min(redis.call('ZCOUNT', awaited, '-inf', int(at)), limit)
if old > 0 then redis.call('ZREMRANGEBYRANK', awaited, 0, old - 1) end
return { 'ok', int(removed) }
