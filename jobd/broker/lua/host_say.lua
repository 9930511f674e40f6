-- host_say: a host says how its daemon is, with a time by the store's clock
-- KEYS    hosts
-- ARGV    now key document forget_ms
-- REPLY   <now>
-- REPLAY  says it again; the newest word counts
-- WHY     Whoever reads it compares this time with the store's clock of then, so no clock of a host has a
--         part in how old a word is. Hosts that have said nothing for forget_ms are left out from then
--         on; looked for by one call in sixteen, so that a word costs the same with a thousand hosts.
local at = int(clock(now))
redis.call('HSET', hosts, key, at .. ' ' .. document)
if tonumber(at) % 16 == 0 then
  local all = redis.call('HGETALL', hosts)
  for i = 1, #all, 2 do
    local said = whole(string.match(all[i + 1], '^%d+'), 0)
    if at - said > tonumber(forget_ms) then redis.call('HDEL', hosts, all[i]) end
  end
end
return { at }
