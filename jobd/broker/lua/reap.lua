-- reap: active -> waiting, for everything a worker of a vanished host held
-- KEYS    leases terms held waiting wake_list tally job:*
-- ARGV    now incarnation seen limit
-- REPLY   released | more | alive
-- REPLAY  what went back is no longer held, so nothing is charged twice
-- WHY     Only when the lease still ends exactly where the reaper saw it end twice, and that is
--         past: an owner that came back has renewed it. Closed before anything moves, so the owner
--         is fenced from this call on. Nobody knows what was running, so each job is `lost` once;
--         only a job that was alone and had been lost before is accused of a crash.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score then return { 'released' } end
local wrong = expect(waiting, 'zset') or expect(held, 'hash') or expect(wake_list, 'list') or expect(tally, 'hash')
if wrong then return wrong end
if score ~= seen or tonumber(score) > clock(now) then return { 'alive' } end
if tonumber(score) > 0 then redis.call('HINCRBY', tally, 'leases_expired', 1) end
redis.call('ZADD', leases, 'XX', 0, incarnation)
local all = redis.call('HGETALL', held)
local alone = #all == 2
for i = 1, math.min(#all, 2 * tonumber(limit)), 2 do
  local id, key = all[i], job_prefix .. all[i]
  if redis.call('TYPE', key).ok == 'hash' then
    if redis.call('HINCRBY', key, 'lost', 1) > 1 and alone then
      redis.call('HINCRBY', key, 'crashes', 1)
    end
    redis.call('HSET', key, 'more', '1')
  end
  redis.call('HINCRBY', tally, 'lost', 1)
  redis.call('ZADD', waiting, string.match(all[i + 1], ':(.*)$'), id)
  redis.call('HDEL', held, id)
end
if #all > 0 then wake(wake_list) end
if redis.call('EXISTS', held) == 1 then return { 'more' } end
redis.call('ZREM', leases, incarnation)
redis.call('HDEL', terms, incarnation)
return { 'released' }
