-- login_try: may somebody try a password now?
-- KEYS    web_tries web_known
-- ARGV    now address user burst every_ms user_burst user_every_ms most known_ms
-- REPLY   <ms to wait, 0: try> and who was charged: <address> <user>
-- REPLAY  charges one more try: less is allowed than could be, never more
-- WHY     Charged before the password is looked at, so that a thousand at once are a thousand. An address
--         has `burst` tries, and one more every every_ms; so has each user over all addresses, whether
--         there is such a user or not. Strangers could so keep a user out: an address from where the
--         user's right password came within known_ms is counted by itself. Each is a score: when its
--         tries are all there again; from then on it is as good as absent. With `most` of them those
--         that are nearest to that go first, and never one that is used up before one that is not.
open_the_door(web_tries)
local at = clock(now)
redis.call('ZREMRANGEBYSCORE', web_tries, '-inf', int(at))
local right = tonumber(redis.call('ZSCORE', web_known, user .. ' ' .. address) or '0')
local is_known = right + tonumber(known_ms) > at
local function of(member, tries, every)
  local full = math.max(at, tonumber(redis.call('ZSCORE', web_tries, member) or '0'))
  return { member = member, next = full + every, wait = full + every - tries * every - at }
end
local charged = {
  of('a ' .. address, tonumber(burst), tonumber(every_ms)),
  of(is_known and 'k ' .. user .. ' ' .. address or 'u ' .. user, tonumber(user_burst), tonumber(user_every_ms)),
}
local wait = math.max(charged[1].wait, charged[2].wait, 0)
if wait > 0 then return { int(wait), '', '' } end
for _, each in ipairs(charged) do redis.call('ZADD', web_tries, int(each.next), each.member) end
redis.call('ZREMRANGEBYRANK', web_tries, 0, -1 - tonumber(most))
return { '0', charged[1].member, charged[2].member }
