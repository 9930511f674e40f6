-- reconcile: active -> waiting, for what a worker holds and does not know of
-- KEYS    leases held waiting wake_list
-- ARGV    now incarnation suspects...
-- REPLY   ok (<id> <claim:place>)... of what is held now | fenced
-- REPLAY  suspects that went back are no longer held: a repeat does nothing
-- WHY     After a lost reply Redis may have given jobs to a worker that never heard of them. The
--         worker names what it saw in an earlier look and still does not know (id claim); what is
--         held after that is the next look.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
local wrong = expect(waiting, 'zset') or expect(held, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local back = false
for i = suspects_at, #ARGV, 2 do
  local id, prefix = ARGV[i], ARGV[i + 1] .. ':'
  local entry = redis.call('HGET', held, id)
  if entry and string.sub(entry, 1, #prefix) == prefix then
    redis.call('ZADD', waiting, string.sub(entry, #prefix + 1), id)
    redis.call('HDEL', held, id)
    back = true
  end
end
if back then wake(wake_list) end
return { 'ok', unpack(redis.call('HGETALL', held)) }
