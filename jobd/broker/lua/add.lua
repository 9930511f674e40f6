-- add: - -> waiting | delayed
-- KEYS    waiting delayed meta wake_list recent:* job:*
-- ARGV    now fresh jobs...
-- REPLY   added | duplicate, a word a job
-- REPLAY  an id that is recorded, or finished within the last 60 s, is answered `duplicate`
-- WHY     Adding is idempotent by id, so a producer that lost the reply may simply ask again.
--         `fresh` says that the ids were made a moment ago and sent once: memory is not searched.
--         It is the one script that Redis may refuse at maxmemory: its first write needs memory.
--         jobs... is, for each: id task args priority due options; due is '' (now), '+N' (ms from
--         now) or N (ms since 1970). Only what no container says is written.
for _, check in ipairs({ { waiting, 'zset' }, { delayed, 'zset' }, { meta, 'hash' }, { wake_list, 'list' }, { window(recent_prefix, clock(now), 0), 'set' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local at = clock(now)
local first_seq = tonumber(redis.call('HGET', meta, 'seq') or '0')
local seq, places, soon, words = first_seq, {}, false, {}
local head = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
local next_due = tonumber(head[2] or 'inf')

for i = jobs_at, #ARGV, 6 do
  local id, key = ARGV[i], job_prefix .. ARGV[i]
  if redis.call('EXISTS', key) == 1 or (fresh == '' and is_remembered(recent_prefix, at, id)) then
    words[#words + 1] = 'duplicate'
  else
    local priority, due, options = tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
    local fields = { 'task', ARGV[i + 1], 'args', ARGV[i + 2], 'at', int(at) }
    if priority ~= 5 then
      fields[#fields + 1] = 'priority'
      fields[#fields + 1] = ARGV[i + 3]
    end
    if options ~= '' then
      fields[#fields + 1] = 'options'
      fields[#fields + 1] = options
    end
    local due_at = at
    if due ~= '' then
      due_at = string.sub(due, 1, 1) == '+' and at + tonumber(string.sub(due, 2)) or tonumber(due)
    end
    if due_at > at then
      fields[#fields + 1] = 'due'
      fields[#fields + 1] = int(due_at)
    end
    if options ~= '' or due_at > at then
      fields[#fields + 1] = 'more'
      fields[#fields + 1] = '1'
    end
    if due_at <= at then
      seq = seq + 1
      fields[#fields + 1] = 'seq'
      fields[#fields + 1] = int(seq)
    end
    redis.call('HSET', key, unpack(fields))
    if due_at > at then
      redis.call('ZADD', delayed, int(due_at), id)
      if due_at < next_due then
        next_due, soon = due_at, true
      end
    else
      places[#places + 1] = int(priority * PRIORITY_SPAN + seq)
      places[#places + 1] = id
      if #places >= 2000 then
        redis.call('ZADD', waiting, unpack(places))
        places = {}
      end
    end
    words[#words + 1] = 'added'
  end
end
if #places > 0 then redis.call('ZADD', waiting, unpack(places)) end
if seq > first_seq then redis.call('HSET', meta, 'seq', int(seq)) end
-- A sooner due time wakes somebody too: idle workers sleep until the next one they know of.
if seq > first_seq or soon then wake(wake_list) end
return words
