-- schedule_resume: a paused schedule fires again
-- KEYS    schedules schedule:*
-- ARGV    now name version next
-- REPLY   resumed | running | gone | changed | below <decided>
-- REPLAY  it runs already, and keeps its next slot
-- WHY     What would have fired during the pause is over: it goes on with `next`, which is later than
--         now and than what was decided on. `version` is what `next` was reckoned by.
open_the_door(schedules)
local key = schedule_prefix .. name
local wrong = expect(schedules, 'zset') or expect(key, 'hash')
if wrong then return wrong end
if not redis.call('ZSCORE', schedules, name) then return { 'gone' } end
local known = redis.call('HMGET', key, 'version', 'paused', 'decided')
if not known[2] then return { 'running' } end
if known[1] ~= version then return { 'changed' } end
local done = math.max(clock(now), whole(known[3], 0))
if tonumber(next) <= done then return { 'below', int(done) } end
redis.call('HDEL', key, 'paused')
redis.call('ZADD', schedules, next, name)
return { 'resumed' }
