-- schedule_look: which schedules are due
-- KEYS    schedules schedule:*
-- ARGV    now offset limit
-- REPLY   <now> <next due, or ''>, then for each: name, slot, cron, tz, every, missed, version
-- REPLAY  reads only
-- WHY     Redis' clock says what is due, and the record says how to reckon on; whoever looks does so
--         and calls schedule_fire. `offset` passes over those that were due and stay so. A record
--         that is none gives no fields.
local at = clock(now)
local due = redis.call('ZRANGEBYSCORE', schedules, '-inf', int(at), 'WITHSCORES', 'LIMIT', offset, limit)
local head = redis.call('ZRANGEBYSCORE', schedules, '(' .. int(at), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local told = { int(at), head[2] or '' }
for i = 1, #due, 2 do
  local record = redis.pcall('HMGET', schedule_prefix .. due[i], 'cron', 'tz', 'every', 'missed', 'version')
  told[#told + 1], told[#told + 2] = due[i], due[i + 1]
  for field = 1, 5 do told[#told + 1] = not record.err and record[field] or '' end
end
return told
