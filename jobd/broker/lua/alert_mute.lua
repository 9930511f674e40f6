-- alert_mute: a rule tells nobody for a while, or tells again
-- KEYS    alert_due alert_mutes alert_history
-- ARGV    now rule for_ms entry
-- WITH    alert_history
-- REPLY   <until, ms; 0: it is not muted any more> <1 if it was muted>
-- REPLAY  mutes it anew, for the same time from then on; of an end nothing is left to do
-- WHY     for_ms 0 ends a mute. By the store's clock, as everything that asks for it. The entry of the
--         history is made in the same step; the end of a mute that was over by itself is none.
open_the_door(alert_due)
local wrong = expect(alert_mutes, 'hash')
if wrong then return wrong end
local at = clock(now)
local before = redis.call('HGET', alert_mutes, rule)
local was = whole(before, 0) > at
if tonumber(for_ms) > 0 then
  local until_at = int(at + tonumber(for_ms))
  redis.call('HSET', alert_mutes, rule, until_at)
  record(alert_history, entry, at)
  return { until_at, was and 1 or 0 }
end
redis.call('HDEL', alert_mutes, rule)
if was then record(alert_history, entry, at) end
return { '0', before and 1 or 0 }
