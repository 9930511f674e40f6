-- session_look: whose session is it?
-- KEYS    web_known web_session:*
-- ARGV    now id idle_ms longest_ms touch
-- REPLY   <user> <password> <ms until it ends at the latest>, or nothing
-- REPLAY  says the same
-- WHY     Looking is what keeps it (`touch`), so that one which nobody uses ends; written down only when a
--         twentieth of that time has gone by, since every request looks. What is here and cannot be read
--         is no session.
open_the_door(web_known)
local record = web_session_prefix .. id
if redis.call('TYPE', record).ok ~= 'hash' then return {} end
local at = clock(now)
local held = redis.call('HMGET', record, 'user', 'password', 'made', 'seen')
local made, seen = whole(held[3], nil), whole(held[4], nil)
if not held[1] or not held[2] or not made or not seen then return {} end
local ends = made + tonumber(longest_ms)
if at >= ends or at >= seen + tonumber(idle_ms) then
  redis.call('DEL', record)
  return {}
end
if touch == '1' and at - seen > tonumber(idle_ms) / 20 then redis.call('HSET', record, 'seen', int(at)) end
return { held[1], held[2], int(ends - at) }
