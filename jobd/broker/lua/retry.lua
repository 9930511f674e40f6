-- retry: dead | cancelled -> waiting
-- KEYS    leases waiting delayed completed dead cancelled expiring meta wake_list unique:* job:*
-- ARGV    now ids...
-- REPLY   retried | duplicate | waiting | delayed | active | completed | gone, a word an id
-- WITH    locks
-- REPLAY  what is back in line is answered with where it is, and stays there
-- WHY     Somebody has looked and says that it may run again: its attempts, crashes and losses start
--         anew, the deadline for its start falls away, and it goes to the end of its line. What it
--         went through stays in its history, with one line more that says what was counted.
--         Retention finds it no longer: a container is the state.
--         A job with a lock takes it again, or is answered `duplicate` and stays where it is, while
--         another job holds it. A `ttl` says when to add, not what may run: it is not asked.
open_the_door(leases)
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled, expiring }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(meta, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local at, words, back, locked = clock(now), {}, {}, {}
local COUNTERS = { 'failed', 'timeouts', 'crashes', 'suspected', 'lost', 'interrupted', 'snoozed', 'throttled' }

local function renew(key, state)
  local note = '{"kind":"retried","at":' .. int(at) .. ',"was":"' .. state .. '"'
  local cause = redis.call('HGET', key, 'cause')
  if cause and string.find(cause, '^[%a_]+$') then note = note .. ',"cause":"' .. cause .. '"' end
  for _, counter in ipairs(COUNTERS) do
    local n = whole(redis.call('HGET', key, counter), 0)
    if n > 0 then note = note .. ',"' .. counter .. '":' .. int(n) end
  end
  chronicle(key, note .. '}')
  redis.call('HDEL', key, 'cause', 'error', 'ended', 'cancel', 'parked', 'due', 'expires', 'result', 'retained', unpack(COUNTERS))
end

local function to_take(key)
  local hold, digest = lock_of(key)
  return hold ~= 'ttl' and digest
end

for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  local ended = state == 'dead' or state == 'cancelled'
  local digest = ended and to_take(key)
  if digest and (locked[digest] or holder_of(unique_prefix, digest, at, job_prefix, waiting, delayed, completed, dead, cancelled)) then
    state = 'duplicate'
  elseif ended then
    redis.call('ZREM', state == 'dead' and dead or cancelled, id)
    redis.call('ZREM', expiring, id)
    if redis.call('TYPE', key).ok == 'hash' then renew(key, state) end
    if digest then
      redis.call('SET', unique_prefix .. digest, id)
      locked[digest] = true
    end
    back[#back + 1] = id
    state = 'retried'
  end
  words[#words + 1] = state
end
if #back > 0 then
  line_up(waiting, meta, job_prefix, back)
  wake(wake_list)
end
return words
