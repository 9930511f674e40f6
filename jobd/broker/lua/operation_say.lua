-- operation_say: who carries out an operation on many jobs says how far it is
-- KEYS    web_operations web_operation_stops
-- ARGV    now id word document most keep_ms lost_ms
-- REPLY   <now> <1: somebody wants it to stop, or 0>
-- REPLAY  says it again; the newest word counts
-- WHY     `word` is r while it runs and e with its last word. The time is the store's, so that whoever
--         reads it needs no host's clock to see that nobody has said anything for long. With more than
--         `most` of them those that have ended, or are lost, make room first, the oldest first. At
--         maxmemory people purge, and have to see how far that is.
local wrong = expect(web_operations, 'hash') or expect(web_operation_stops, 'zset')
if wrong then return wrong end
open_the_door(web_operation_stops)
local at = clock(now)
redis.call('HSET', web_operations, id, int(at) .. ' ' .. word .. ' ' .. document)
redis.call('PEXPIRE', web_operations, keep_ms)
local too_many = redis.call('HLEN', web_operations) - tonumber(most)
if too_many > 0 then
  local all, others = redis.call('HGETALL', web_operations), {}
  for i = 1, #all, 2 do
    local said, how = string.match(all[i + 1], '^(%d+) (%a) ')
    local runs = how == 'r' and at - whole(said, 0) <= tonumber(lost_ms)
    if all[i] ~= id then others[#others + 1] = { id = all[i], rank = runs and 1 or 0 } end
  end
  table.sort(others, function(a, b)
    if a.rank ~= b.rank then return a.rank < b.rank end
    return a.id < b.id
  end)
  for i = 1, math.min(too_many, #others) do
    redis.call('HDEL', web_operations, others[i].id)
    redis.call('ZREM', web_operation_stops, others[i].id)
  end
end
local asked = redis.call('ZSCORE', web_operation_stops, id) and '1' or '0'
if word == 'e' then redis.call('ZREM', web_operation_stops, id) end
return { int(at), asked }
