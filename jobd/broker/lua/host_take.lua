-- host_take: a host takes what it is asked for
-- KEYS    orders
-- ARGV    now most
-- REPLY   for each: id, for how long it may be carried out yet (ms), what is asked
-- REPLAY  nothing is left: whose reply is lost, that is never carried out
-- WHY     Taken means gone, so nothing is carried out twice; what is late is left out. Called every second
--         by every host, so where nobody asks it is one look. Of what a stranger put there nothing is read.
local kind = redis.call('TYPE', orders).ok
if kind == 'none' then return {} end
local found = kind == 'hash' and redis.call('HLEN', orders) <= tonumber(most) and redis.call('HGETALL', orders) or {}
redis.call('UNLINK', orders)
local at, taken = clock(now), {}
for i = 1, #found, 2 do
  local till, document = string.match(found[i + 1], '^(%d+) (.*)$')
  local left = whole(till, 0) - at
  if left > 0 then
    for _, value in ipairs({ found[i], int(left), document }) do taken[#taken + 1] = value end
  end
end
return taken
