-- reschedule: waiting | delayed -> delayed | waiting
-- KEYS    leases waiting delayed completed dead cancelled meta wake_list job:*
-- ARGV    now due ids...
-- REPLY   delayed | waiting | active | completed | dead | cancelled | gone, where each job is now
-- REPLAY  the same due time again; a relative one counts from the repeat
-- WHY     Only what nobody holds can be moved: what runs is answered `active` and runs on. due is ''
--         (now), '+N' (ms from now) or N (ms since 1970). What waits already and is due stays in its
--         place in line; what becomes due goes to the end, as after any delay.
open_the_door(leases)
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(meta, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local at, words, ready = clock(now), {}, {}
local due_at = instant(due, at)
for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if due_at > at and (state == 'waiting' or state == 'delayed') then
    redis.call('ZADD', delayed, int(due_at), id)
    redis.call('ZREM', waiting, id)
    -- pcall: a record of another type is found out by the next claim
    redis.pcall('HSET', key, 'due', int(due_at), 'more', '1')
    state = 'delayed'
  elseif state == 'delayed' then
    redis.call('ZREM', delayed, id)
    ready[#ready + 1] = id
    redis.pcall('HSET', key, 'due', int(at), 'more', '1')
    state = 'waiting'
  end
  words[#words + 1] = state
end
if #ready > 0 then line_up(waiting, meta, job_prefix, ready) end
-- Also for a later due time: idle workers sleep until the next one they know of.
if #words > 0 then wake(wake_list) end
return words
