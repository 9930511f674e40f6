-- step: a running job asks for the value of a step that succeeded, or records it
-- KEYS    leases held job:*
-- ARGV    now incarnation id claim name value
-- REPLY   recorded | known <value> | none | full | stale
-- REPLAY  the value is found and given back, which is what was to be recorded
-- WHY     What succeeded once is not recorded twice: the first value stays, whoever comes later, in
--         this run or in another. value is '' to ask only. A run whose claim is not held any more
--         writes nothing and learns nothing: another has the job, and goes by what it finds. Values
--         stand in the job's record and go with it. A record takes a thousand steps, and 1 MiB of
--         values in all; what begins with '!' says why there is no value, and has always room.
open_the_door(leases)
local wrong = expect(held, 'hash')
if wrong then return wrong end
local score, key = redis.call('ZSCORE', leases, incarnation), job_prefix .. id
if not score or tonumber(score) == 0 or redis.call('HGET', held, id) ~= claim or redis.call('TYPE', key).ok ~= 'hash' then
  return { 'stale' }
end
local field = '~once:' .. name
local known = redis.call('HGET', key, field)
if known then return { 'known', known } end
if value == '' then return { 'none' } end
local steps, bytes = string.match(redis.call('HGET', key, '~steps') or '', '^(%d+) (%d+)$')
steps, bytes = whole(steps, 0) + 1, whole(bytes, 0) + #value
if steps > 1000 or (bytes > 1048576 and string.sub(value, 1, 1) ~= '!') then return { 'full' } end
redis.call('HSET', key, field, value, '~steps', int(steps) .. ' ' .. int(bytes), 'more', '1')
return { 'recorded' }
