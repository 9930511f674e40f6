-- reconcile: active -> waiting (cancelled, where that was asked for), for what a worker holds and does not know of
-- KEYS    leases held waiting delayed completed dead wake_list cancelled awaited tally unique:* job:*
-- ARGV    now incarnation suspects...
-- WITH    locks
-- REPLY   ok (<id> <claim>)... of what is held now | fenced
-- REPLAY  suspects that went back are no longer held: a repeat does nothing
-- WHY     After a lost reply Redis may have given jobs to a worker that never heard of them. The
--         worker names what it saw in an earlier look and still does not know (id claim); what is
--         held after that is the next look. What is held by no claim is nobody's: it goes too.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(completed, 'zset') or expect(dead, 'zset') or expect(held, 'hash') or expect(wake_list, 'list') or expect(cancelled, 'zset') or expect(awaited, 'zset') or expect(tally, 'hash')
if wrong then return wrong end
local back = {}
for i = suspects_at, #ARGV, 2 do
  local claim = redis.call('HGET', held, ARGV[i])
  if claim and (claim == ARGV[i + 1] or not string.find(claim, '^%d+$')) then
    back[#back + 1] = ARGV[i]
  end
end
if #back > 0 then
  put_back(waiting, held, delayed, completed, dead, cancelled, awaited, tally, unique_prefix, job_prefix, back, now)
  wake(wake_list)
end
return { 'ok', unpack(redis.call('HGETALL', held)) }
