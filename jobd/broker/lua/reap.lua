-- reap: active -> waiting | cancelled, for everything a worker of a vanished host held
-- KEYS    leases terms held waiting delayed completed dead wake_list tally cancelled awaited meta minute:* unique:* job:*
-- ARGV    now incarnation seen limit host
-- WITH    locks
-- REPLY   released | more | alive
-- REPLAY  what went back is no longer held, so nothing is charged twice
-- WHY     Only when the lease still ends exactly where the reaper saw it end twice, and that is
--         past: an owner that came back has renewed it. Closed before anything moves, so the owner
--         is fenced from this call on. Nobody knows what was running, so each job is `lost` once;
--         only a job that was alone and had been lost before is accused of a crash. A line in its history
--         names the worker, and its `host`, where that is known, which is gone.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score then return { 'released' } end
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(completed, 'zset') or expect(dead, 'zset') or expect(held, 'hash') or expect(wake_list, 'list') or expect(tally, 'hash') or expect(terms, 'hash') or expect(cancelled, 'zset') or expect(awaited, 'zset') or expect(meta, 'hash')
if wrong then return wrong end
if score ~= seen or tonumber(score) > clock(now) then return { 'alive' } end
if tonumber(score) > 0 then add_up(tally, 'leases_expired', 1) end
redis.call('ZADD', leases, 'XX', 0, incarnation)
local ids = redis.call('HKEYS', held)
-- What a stranger named so is not put into a document.
local function named(what, name)
  return string.find(name, '^[%w_.:%-]+$') and ',"' .. what .. '":"' .. name .. '"' or ''
end
local who = named('worker', incarnation) .. named('host', host)
-- Only the first bite sees all that was held: the last of many was not alone.
local alone, back = #ids == 1 and tonumber(score) > 0, {}
for i = 1, math.min(#ids, tonumber(limit)) do
  local key = job_prefix .. ids[i]
  if redis.call('TYPE', key).ok == 'hash' then
    -- pcall: a counter that is no number is found out by the next claim, not here
    local lost = redis.pcall('HINCRBY', key, 'lost', 1)
    if alone and type(lost) == 'number' and lost > 1 then redis.pcall('HINCRBY', key, 'crashes', 1) end
    local claim = whole(redis.call('HGET', held, ids[i]), 0)
    chronicle(key, '{"kind":"lost","at":' .. int(clock(now)) .. who .. ',"token":' .. int(claim) .. '}')
    redis.call('HSET', key, 'more', '1')
  end
  count_of_task(tally, 'lost', key)
  back[i] = ids[i]
end
if #back > 0 then
  add_up(tally, 'lost', #back)
  count_of_minute(minute_prefix, clock(now), { lost = #back })
  put_back(waiting, held, delayed, completed, dead, cancelled, awaited, tally, unique_prefix, job_prefix, back, now)
  for _, id in ipairs(back) do
    tell({ waiting, meta, wake_list, job_prefix }, 'lost', id, 'lost', clock(now))
  end
end
-- Also when it held nothing: it may have taken a hint and died before it claimed.
if redis.call('EXISTS', waiting) == 1 then wake(wake_list) end
if redis.call('EXISTS', held) == 1 then return { 'more' } end
redis.call('ZREM', leases, incarnation)
redis.call('HDEL', terms, incarnation)
return { 'released' }
