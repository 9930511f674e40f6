-- schedule_remove: a schedule goes
-- KEYS    schedules schedule:*
-- ARGV    now name seen
-- REPLY   removed | gone | declared
-- REPLAY  it is gone
-- WHY     By hand (`seen` is ''), or by a keeper that has looked for ten minutes and found it declared
--         by nobody since `seen`: one that was declared in between stays. Its jobs stay as they are.
open_the_door(schedules)
local key = schedule_prefix .. name
local wrong = expect(schedules, 'zset')
if wrong then return wrong end
if not redis.call('ZSCORE', schedules, name) and redis.call('EXISTS', key) == 0 then return { 'gone' } end
if seen ~= '' then
  local known = redis.pcall('HMGET', key, 'origin', 'declared_at')
  if known.err or known[1] ~= 'declared' or known[2] ~= seen then return { 'declared' } end
end
redis.call('ZREM', schedules, name)
redis.call('UNLINK', key)
return { 'removed' }
