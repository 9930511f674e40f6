-- session_open: somebody has logged in
-- KEYS    web_sessions:* web_session:*
-- ARGV    now id user password longest_ms most
-- REPLY   <now>
-- REPLAY  opens the same session again, from now on: nobody has its token but who gets this reply
-- WHY     A session is here under its token's hash, so who reads Redis, or a dump of it, cannot use it. A user
--         has at most `most` of them; the one that ends first makes room. `password` says with which
--         password, as a digest: a session of another one counts no more. Times decide, not the TTLs,
--         which only clear away. At maxmemory people have to be able to log in, and see why.
local mine = web_sessions_prefix .. user
local record = web_session_prefix .. id
local wrong = expect(mine, 'zset') or expect(record, 'hash')
if wrong then return wrong end
open_the_door(mine)
local at = clock(now)
redis.call('ZREMRANGEBYSCORE', mine, '-inf', int(at))
redis.call('HSET', record, 'user', user, 'password', password, 'made', int(at), 'seen', int(at))
redis.call('PEXPIRE', record, longest_ms)
redis.call('ZADD', mine, int(at + tonumber(longest_ms)), id)
for _, old in ipairs(redis.call('ZRANGE', mine, 0, -1 - tonumber(most))) do
  if old ~= id then
    redis.call('DEL', web_session_prefix .. old)
    redis.call('ZREM', mine, old)
  end
end
redis.call('PEXPIRE', mine, longest_ms)
return { int(at) }
