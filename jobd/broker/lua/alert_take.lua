-- alert_take: a host takes what is due for some sinks, and tries to tell it
-- KEYS    alert_due alert_notes alert_order alert_tries alert_line:* alert_counts
-- ARGV    now lease_ms limit keep_ms sinks...
-- WITH    alert_outbox
-- REPLY   for each: id, sink, tries, for how long it is to be told (ms), note
-- REPLAY  what was taken is not due any more, so others are; it is due again at the end of its lease
-- WHY     Taken means: not due before the lease is over, so no other host tells the same meanwhile; and a
--         host that dies over it leaves it to be told again, under the same id. What nobody has taken in
--         keep_ms is for sinks that nobody has any more: it is dropped, and counted.
open_the_door(alert_due)
local box = { alert_due, alert_notes, alert_order, alert_tries, alert_line_prefix, alert_counts }
local wrong = wrong_box(box)
if wrong then return wrong end
local at, wanted, taken = clock(now), {}, {}
for i = sinks_at, #ARGV do wanted[ARGV[i]] = true end
for _ = 1, 10 do
  local oldest = redis.call('ZRANGE', alert_order, 0, 0, 'WITHSCORES')[2]
  if not oldest or tonumber(oldest) >= (at - tonumber(keep_ms)) * 1024 then break end
  drop_oldest(box, at)
end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', alert_due, '-inf', int(at), 'LIMIT', 0, 1000)) do
  if #taken >= 5 * tonumber(limit) then break end
  local id, sink = string.match(member, '^(%S+) (.*)$')
  if not id then
    redis.call('ZREM', alert_due, member)
  elseif wanted[sink] then
    local rule, note = rule_of(box, id, sink), redis.call('HGET', alert_notes, id)
    local seq = rule and redis.call('ZSCORE', alert_order, member .. '\n' .. rule)
    if note and seq then
      redis.call('ZADD', alert_due, 'XX', int(at + tonumber(lease_ms)), member)
      add_up(alert_tries, member, 1)
      local waited = int(math.max(0, at - math.floor(tonumber(seq) / 1024)))
      for _, value in ipairs({ id, sink, redis.call('HGET', alert_tries, member), waited, note }) do
        taken[#taken + 1] = value
      end
    else
      off_the_line(box, id, sink, rule, at)
      add_up(alert_counts, 'dropped', 1)
    end
  end
end
return taken
