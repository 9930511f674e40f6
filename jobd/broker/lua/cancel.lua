-- cancel: waiting | delayed -> cancelled (active: its run is told, and it never runs again)
-- KEYS    leases waiting delayed completed dead cancelled awaited tally orders held:* unique:* job:*
-- ARGV    now word ids...
-- REPLY   cancelled | asked | completed | dead | gone | later, a word an id
-- REPLAY  what is cancelled is answered `cancelled` again, what was asked is asked again: the same
-- WHY     What nobody has begun is gone at once. What a worker holds cannot be taken from it: the
--         wish stands in the record, so that no way back leads to another run, and an order names
--         the very run that is to be told (word: cancel) or ended with its process (word: kill).
--         A run that ends well before it looks has completed: that is true, and stays so. An order
--         carries its claim, so it can mean no later run; `heed` drops it with what is held.
--         Who holds a job is found by asking each worker: with many of both, only the first ones are
--         seen to, and nothing is done about the others, which are to be asked for again (later).
local MOST_LOOKS = 2000
open_the_door(leases)
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled, awaited }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(orders, 'hash') or expect(tally, 'hash')
if wrong then return wrong end
local at, words, active, workers = clock(now), {}, {}, nil
for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if state == 'waiting' or state == 'delayed' then
    redis.call('ZREM', state == 'waiting' and waiting or delayed, id)
    end_cancelled(cancelled, awaited, unique_prefix, key, id, at)
    count_of_task(tally, 'cancelled', key)
    state = 'cancelled'
  elseif state == 'active' then
    workers = workers or redis.call('ZCARD', leases)
    if #active > 0 and (#active + 1) * workers > MOST_LOOKS then
      state = 'later'
    else
      active[#active + 1] = id
      state = 'asked'
      -- pcall: a record of another type is found out by its worker
      redis.pcall('HSETNX', key, 'cancel', int(at))
    end
  end
  words[#words + 1] = state
end
if #active > 0 then
  local found = 0
  for _, incarnation in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    if found == #active then break end
    local claims = redis.pcall('HMGET', held_prefix .. incarnation, unpack(active))
    for i, claim in ipairs(claims) do
      if claim then
        redis.call('HSET', orders, active[i], word .. ' ' .. claim .. ' ' .. incarnation)
        found = found + 1
      end
    end
  end
end
return words
