-- hand_back: active -> waiting
-- KEYS    leases held waiting wake_list
-- ARGV    now incarnation items...
-- REPLY   ok <ids handed back>...
-- REPLAY  what was handed back is no longer held: a repeat does nothing
-- WHY     A claimed job that was not started costs nothing and goes back to its own place in line.
--         The living worker calls it, and the keeper for a worker whose GIL is held. items... is
--         (id claim) for each.
open_the_door(leases)
local wrong = expect(waiting, 'zset') or expect(held, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local reply, places, leaving = { 'ok' }, {}, {}
for i = items_at, #ARGV, 2 do
  local id, prefix = ARGV[i], ARGV[i + 1] .. ':'
  local entry = redis.call('HGET', held, id)
  if entry and string.sub(entry, 1, #prefix) == prefix then
    places[#places + 1] = string.sub(entry, #prefix + 1)
    places[#places + 1] = id
    leaving[#leaving + 1] = id
    reply[#reply + 1] = id
  end
end
if #leaving > 0 then
  redis.call('ZADD', waiting, unpack(places))
  redis.call('HDEL', held, unpack(leaving))
  wake(wake_list)
end
return reply
