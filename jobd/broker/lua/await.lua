-- await: somebody waits for a job's end
-- KEYS    leases awaited
-- ARGV    now id until_ms
-- REPLY   ok
-- REPLAY  the same entry again
-- WHY     The script that ends a job publishes only for ids found here, so results that nobody
--         waits for cost one lookup a batch. The entry ends with the wait, not with the waiter.
open_the_door(leases)
local wrong = expect(awaited, 'zset')
if wrong then return wrong end
redis.call('ZADD', awaited, 'GT', int(clock(now) + tonumber(until_ms)), id)
return { 'ok' }
