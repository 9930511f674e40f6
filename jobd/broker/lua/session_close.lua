-- session_close: a user logs out, here or everywhere
-- KEYS    web_sessions:* web_session:*
-- ARGV    user id
-- REPLY   <how many were closed>
-- REPLAY  closes nothing more
-- WHY     From here on the token is worth nothing, on any host. Without an id all of the user's are closed:
--         there are few of them (session_open).
local mine = web_sessions_prefix .. user
local wrong = expect(mine, 'zset')
if wrong then return wrong end
open_the_door(mine)
local ids = id ~= '' and { id } or redis.call('ZRANGE', mine, 0, -1)
local closed = 0
for _, each in ipairs(ids) do
  closed = closed + redis.call('DEL', web_session_prefix .. each)
  redis.call('ZREM', mine, each)
end
return { int(closed) }
