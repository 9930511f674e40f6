-- login_done: the password was right
-- KEYS    web_tries web_known
-- ARGV    now address user charged every_ms user_charged user_every_ms most known_ms
-- REPLY   <now>
-- REPLAY  gives a try back that was not charged: one more than should be, to who has a password
-- WHY     The try is given back, no more: else who has one password could try for another's for ever. The
--         address is known for this user from now on (login_try).
open_the_door(web_tries)
local at = clock(now)
if redis.call('ZSCORE', web_tries, charged) then redis.call('ZINCRBY', web_tries, '-' .. every_ms, charged) end
if redis.call('ZSCORE', web_tries, user_charged) then
  redis.call('ZINCRBY', web_tries, '-' .. user_every_ms, user_charged)
end
redis.call('ZREMRANGEBYSCORE', web_known, '-inf', int(at - tonumber(known_ms)))
redis.call('ZADD', web_known, int(at), user .. ' ' .. address)
redis.call('ZREMRANGEBYRANK', web_known, 0, -1 - tonumber(most))
return { int(at) }
