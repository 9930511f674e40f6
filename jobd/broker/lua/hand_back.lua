-- hand_back: active -> waiting (cancelled, where that was asked for)
-- KEYS    leases held waiting delayed completed dead wake_list cancelled awaited tally rate unique:* job:*
-- ARGV    now incarnation items...
-- WITH    rate locks
-- REPLY   ok <ids handed back>...
-- REPLAY  what was handed back is no longer held: a repeat does nothing
-- WHY     A claimed job that was not started costs nothing and goes back to its own place in line.
--         The living worker calls it, and the keeper for a worker whose GIL is held. items... is
--         (id claim) for each. It never started, so it takes no place under a rate limit.
open_the_door(leases)
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(completed, 'zset') or expect(dead, 'zset') or expect(held, 'hash') or expect(wake_list, 'list') or expect(cancelled, 'zset') or expect(awaited, 'zset') or expect(tally, 'hash')
if wrong then return wrong end
local back = {}
for i = items_at, #ARGV, 2 do
  if redis.call('HGET', held, ARGV[i]) == ARGV[i + 1] then
    back[#back + 1] = ARGV[i]
    rate_return(rate, ARGV[i + 1])
  end
end
if #back > 0 then
  put_back(waiting, held, delayed, completed, dead, cancelled, awaited, tally, unique_prefix, job_prefix, back, now)
  wake(wake_list)
end
return { 'ok', unpack(back) }
