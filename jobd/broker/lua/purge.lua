-- purge: waiting | delayed | completed | dead | cancelled -> -
-- KEYS    leases waiting delayed completed dead cancelled expiring awaited tally recent:* unique:* job:*
-- ARGV    now state ids...
-- REPLY   purged | waiting | delayed | active | completed | dead | cancelled | gone, a word an id
-- REPLAY  what was purged is gone, and answered so
-- WHY     Somebody throws away what stands in one state, unseen. A job that has left it since, for a
--         worker's hands or by a retry, is answered with where it is, and stays. What never ran is
--         cancelled first, so that all that ends a job takes place: it is counted, who waits is told.
--         The ids are remembered for a minute, as retention does it.
open_the_door(leases)
local at, words = clock(now), {}
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled, expiring, awaited }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(window(recent_prefix, at, 0), 'set') or expect(tally, 'hash')
if wrong then return wrong end
local containers = { waiting = waiting, delayed = delayed, completed = completed, dead = dead, cancelled = cancelled }
for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local found = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if found == state and containers[found] then
    redis.call('ZREM', containers[found], id)
    if found == 'waiting' or found == 'delayed' then
      end_cancelled(cancelled, awaited, unique_prefix, key, id, at)
      count_of_task(tally, 'cancelled', key)
      redis.call('ZREM', cancelled, id)
    end
    redis.call('ZREM', expiring, id)
    unlock(unique_prefix, id, lock_of(key)) -- a `ttl` may still hold, as in delete
    redis.call('UNLINK', key)
    remember(recent_prefix, at, { id })
    found = 'purged'
  end
  words[#words + 1] = found
end
return words
