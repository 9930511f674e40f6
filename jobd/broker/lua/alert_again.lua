-- alert_again: telling it failed; it is tried again later
-- KEYS    alert_due alert_tries
-- ARGV    now id sink tries delay_ms
-- REPLY   ok | gone
-- REPLAY  the same, a little later
-- WHY     `tries` is the number of the try that failed. Where another has begun since, after the lease of
--         this one, that one says when the next is: a late word puts nothing off.
open_the_door(alert_due)
local wrong = expect(alert_due, 'zset') or expect(alert_tries, 'hash')
if wrong then return wrong end
local member = id .. ' ' .. sink
if redis.call('HGET', alert_tries, member) ~= tries then return { 'gone' } end
if not redis.call('ZSCORE', alert_due, member) then return { 'gone' } end
redis.call('ZADD', alert_due, 'XX', int(clock(now) + tonumber(delay_ms)), member)
return { 'ok' }
