-- alert_load: a host says how it defines its rules, and hears how living hosts do
-- KEYS    alert_due alert_loads
-- ARGV    now age for_ms owner host rules...
-- REPLY   <at, ms> <rule, a newline, digest> <what is said of that> ...
-- REPLAY  says the same once more
-- WHY     rules... are triples: rule, digest, definition. A definition was loaded when the last host did
--         (`age` ms ago, so by this clock), and is over when nobody has said it for `for_ms`. A daemon
--         (`owner`) has one of each rule, the one it loaded last. The time of a load moves by more than a
--         slow round trip or not at all: a word that comes late makes none newer. What is in the way, no
--         definition, or of a time to come, is a stranger's, or of a clock that was set: it goes.
local MOST_MS = 86400000
open_the_door(alert_due)
local at = clock(now)
local since = math.floor(math.max(0, at - tonumber(age)))
local mine, gone, said, put = {}, {}, { int(at) }, {}
for i = rules_at, #ARGV, 3 do
  mine[ARGV[i]] = { digest = ARGV[i + 1], says = ARGV[i + 2], since = since }
end
local all = redis.pcall('HGETALL', alert_loads)
if all.err then
  redis.call('UNLINK', alert_loads)
  all = {}
end
for i = 1, #all, 2 do
  local rule, digest = string.match(all[i], '^(.*)\n(%x+)$')
  local loaded, when, span, by = string.match(all[i + 1], '^(%d+) (%d+) (%d+) (%x+) %S+\n')
  loaded, when, span = whole(loaded), whole(when), whole(span)
  local own = rule and mine[rule]
  if not (rule and loaded and when and span) or span > MOST_MS or when + span <= at or math.max(loaded, when) > at + 5000 then
    gone[#gone + 1] = all[i]
  elseif own and own.digest == digest then
    if loaded > since - 3000 then own.since = loaded end
    own.stored = all[i + 1]
  elseif own and by == owner and loaded < since then
    gone[#gone + 1] = all[i]
  else
    if own and by == owner then own.over = true end
    said[#said + 1], said[#said + 2] = all[i], all[i + 1]
  end
end
for i = 1, #gone, 1000 do redis.call('HDEL', alert_loads, unpack(gone, i, math.min(i + 999, #gone))) end
for i = rules_at, #ARGV, 3 do
  local own = mine[ARGV[i]]
  local field = ARGV[i] .. '\n' .. own.digest
  local value = int(own.since) .. ' ' .. int(at) .. ' ' .. for_ms .. ' ' .. owner .. ' ' .. host .. '\n' .. own.says
  if not own.over then put[#put + 1], put[#put + 2] = field, value end
  if own.stored or not own.over then
    said[#said + 1], said[#said + 2] = field, own.over and own.stored or value
  end
end
for i = 1, #put, 1000 do redis.call('HSET', alert_loads, unpack(put, i, math.min(i + 999, #put))) end
return said
