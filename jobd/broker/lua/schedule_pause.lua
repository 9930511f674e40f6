-- schedule_pause: a schedule fires no more, until it is resumed
-- KEYS    schedules schedule:*
-- ARGV    now name
-- REPLY   paused | gone
-- REPLAY  paused again, which changes nothing
-- WHY     It stays listed, without a next slot. A pause outlives a change of what is scheduled.
open_the_door(schedules)
local key = schedule_prefix .. name
local wrong = expect(schedules, 'zset') or expect(key, 'hash')
if wrong then return wrong end
if not redis.call('ZSCORE', schedules, name) then return { 'gone' } end
if not redis.call('HGET', key, 'paused') then
  local at = clock(now)
  redis.call('HSET', key, 'paused', int(at), 'decided', int(math.max(at, whole(redis.call('HGET', key, 'decided'), 0))))
end
redis.call('ZADD', schedules, 'inf', name)
return { 'paused' }
