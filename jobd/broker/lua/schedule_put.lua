-- schedule_put: a schedule is made, changed, or declared once more
-- KEYS    schedules schedule:*
-- ARGV    now name version timing next origin age force fields...
-- REPLY   created | changed | same | older | due | below <decided>
-- REPLAY  the same version again is `same`, and no slot moves
-- WHY     `origin` is `api`, or `declared` by a host whose code or file says so. Of two that say
--         different things the one whose code was loaded last (`age` ms ago) is right, so hosts that
--         still run the old code change nothing back. A new time begins with `next`; with the old
--         time the next slot stays as it is, due or not. A slot that was due under the old time is
--         fired first (`due`), unless `force`. `next` is later than now, and never one that was decided on (`below`).
--         fields... are names and values of the rest of the record.
open_the_door(schedules)
local key = schedule_prefix .. name
local wrong = expect(schedules, 'zset') or expect(key, 'hash')
if wrong then return wrong end
local at = clock(now)
local since = at - tonumber(age)
local known = redis.call('HMGET', key, 'version', 'timing', 'origin', 'since', 'declared_at', 'paused', 'decided')
local score = redis.call('ZSCORE', schedules, name)
local exists = known[1] and score
local stays = exists and known[3] == 'api' and origin == 'declared'
if exists and (known[1] == version or (origin == 'declared' and since <= whole(known[4], 0) + 1000)) then
  if not stays then redis.call('HSET', key, 'origin', origin, 'declared_at', int(at)) end
  if known[1] ~= version then return { 'older' } end
  if since > whole(known[4], 0) + 1000 then redis.call('HSET', key, 'since', int(since)) end
  return { 'same' }
end
local moves = not exists or known[2] ~= timing
if moves then
  if exists and tonumber(score) <= at and force == '' and is_declared(known[3], known[5], at) then return { 'due' } end
  local done = math.max(at, whole(known[7], 0))
  if tonumber(next) <= done then return { 'below', int(done) } end
end
if not exists then redis.call('HSET', key, 'created_at', int(at), 'decided', int(at)) end
redis.call('HDEL', key, 'cron', 'tz', 'every', 'options', 'expires', 'lock')
redis.call('HSET', key, 'version', version, 'timing', timing, 'origin', origin, 'since', int(since), 'declared_at', int(at))
redis.call('HSET', key, unpack(ARGV, fields_at))
if moves and not known[6] then redis.call('ZADD', schedules, next, name) end
if moves and known[6] then redis.call('ZADD', schedules, 'inf', name) end
return { exists and 'changed' or 'created' }
