-- release: active -> waiting | cancelled, for everything a dead worker of this host held
-- KEYS    leases terms held waiting delayed completed dead wake_list tally cancelled awaited meta rate minute:* unique:* job:*
-- ARGV    now incarnation limit begun blamed...
-- WITH    rate locks
-- REPLY   released | more
-- REPLAY  what went back is no longer held, so nothing is charged twice
-- WHY     The lease is closed first (score 0): commands of the dead worker that still sit in a
--         socket buffer run later than one thinks, and must find it closed. Then jobs move in
--         bites, and the lease goes only in the call that finds nothing held: whoever calls may
--         die between two bites. blamed... is (id counter note claim) for each job that was running,
--         or had just been; it is charged only where that claim (empty: any) still holds it: the counter (crashes, suspected, timeouts, lost, interrupted) grows by one, the note joins the
--         job's history, and `ended` tells the worker that claims it next, which knows the task's
--         policy and passes the verdict. A fifth interruption of a job is counted by itself: an alert looks
--         at it. Everything else goes back free of charge; where
--         `begun` says up to which claim it has begun jobs, the later ones take no place under a rate limit.
open_the_door(leases)
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(completed, 'zset') or expect(dead, 'zset') or expect(held, 'hash') or expect(wake_list, 'list') or expect(tally, 'hash') or expect(terms, 'hash') or expect(cancelled, 'zset') or expect(awaited, 'zset') or expect(meta, 'hash')
if wrong then return wrong end
if not redis.call('ZSCORE', leases, incarnation) and redis.call('EXISTS', held) == 0 then return { 'released' } end
redis.call('ZADD', leases, 'XX', 0, incarnation)
local back, taken, minute, causes = {}, {}, {}, { crashes = 'crash', lost = 'lost' }
-- A timeout is counted when it is judged: as one, or as the job's death.
local OUTCOMES = { crashes = 'crashed', suspected = 'crashed', lost = 'lost', interrupted = 'interrupted' }

for i = blamed_at, #ARGV, 4 do
  local id, counter, note, claim = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local holding = redis.call('HGET', held, id)
  if holding and not taken[id] and (claim == '' or whole(holding, 0) == tonumber(claim)) then
    local key = job_prefix .. id
    if redis.call('TYPE', key).ok == 'hash' then
      -- pcall: a counter that is no number is found out by the next claim, not here
      local times = redis.pcall('HINCRBY', key, counter, 1)
      if counter == 'interrupted' and times == 5 then
        add_up(tally, 'interrupted_often', 1)
        redis.call('HSET', meta, 'interrupted_last', id)
      end
      redis.call('HSET', key, 'more', '1')
      if note ~= '' then
        chronicle(key, note)
        redis.call('HSET', key, 'ended', counter)
      end
    end
    add_up(tally, counter, 1)
    local outcome = OUTCOMES[counter]
    if outcome then
      count_of_task(tally, outcome, key)
      minute[outcome] = (minute[outcome] or 0) + 1
    end
    back[#back + 1] = id
    taken[id] = true
    if causes[counter] then tell({ waiting, meta, wake_list, job_prefix }, 'lost', id, causes[counter], clock(now)) end
  end
end
if next(minute) then count_of_minute(minute_prefix, clock(now), minute) end
local holds = redis.call('HGETALL', held)
for i = 1, #holds, 2 do
  if #back >= tonumber(limit) then break end
  if not taken[holds[i]] then
    back[#back + 1] = holds[i]
    if begun ~= '' and whole(holds[i + 1], 0) > tonumber(begun) then rate_return(rate, holds[i + 1]) end
  end
end
if #back > 0 then
  put_back(waiting, held, delayed, completed, dead, cancelled, awaited, tally, unique_prefix, job_prefix, back, now)
end
-- Also when it held nothing: it may have taken a hint and died before it claimed.
if redis.call('EXISTS', waiting) == 1 then wake(wake_list) end
if redis.call('EXISTS', held) == 1 then return { 'more' } end
redis.call('ZREM', leases, incarnation)
redis.call('HDEL', terms, incarnation)
return { 'released' }
