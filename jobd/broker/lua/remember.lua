-- remember: how a queue's tally stands is kept for a while, so that it can be said what came since
-- KEYS    tally tally_past
-- ARGV    now every_ms keep most
-- REPLY   kept | soon | much
-- REPLAY  `soon`
-- WHY     Counters that only grow say how it goes now only beside what they were. Any number of hosts call it,
--         and one in every_ms keeps it; a tally of more than `most` fields is not worth the room. A statistic:
--         a full store may refuse it, and what a stranger put in its place goes.
if expect(tally, 'hash') then return { 'much' } end
if expect(tally_past, 'hash') or redis.call('HLEN', tally_past) > 2 * tonumber(keep) then
  redis.call('UNLINK', tally_past)
end
local at, marks = clock(now), {}
for _, mark in ipairs(redis.call('HKEYS', tally_past)) do
  local when = whole(mark, -1)
  if when >= 0 and when <= at then
    marks[#marks + 1] = when
  else
    redis.call('HDEL', tally_past, mark)
  end
end
table.sort(marks, function(a, b) return a > b end)
if marks[1] and at - marks[1] < tonumber(every_ms) then return { 'soon' } end
if redis.call('HLEN', tally) > tonumber(most) then return { 'much' } end
redis.call('HSET', tally_past, int(at), table.concat(redis.call('HGETALL', tally), '\n'))
for i = tonumber(keep), #marks do redis.call('HDEL', tally_past, int(marks[i])) end
return { 'kept' }
