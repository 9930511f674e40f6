-- add: - -> waiting | delayed
-- KEYS    waiting delayed recent meta wake_list job:*
-- ARGV    now fresh jobs...
-- REPLY   added | duplicate, a word a job
-- REPLAY  an id that is recorded, or finished within the last 60 s, is answered `duplicate`
-- WHY     Adding is idempotent by id, so a producer that lost the reply may simply ask again.
--         `fresh` says that the ids were made a moment ago and sent once: then nothing is looked up
--         before, and only the answer to the write tells that a record was there after all.
--         It is the one script that Redis may refuse at maxmemory: its first write needs memory.
--         jobs... is, for each: id task args priority due options; due is '' (now), '+N' (ms from
--         now) or N (ms since 1970). Only what no container says is written.
--         Numbers go to Redis as they are (it writes 17 digits of them); only text needs `int`.
local later = false
for i = jobs_at + 4, #ARGV, 6 do
  later = later or ARGV[i] ~= ''
end

-- These reads are needed, or cost less than asking for types: each refuses a key of a wrong type
-- before the first write. Only when one did are the types asked for, to name the key.
local last = redis.pcall('HGET', meta, 'seq')
local hints = redis.pcall('LLEN', wake_list)
local refused = { last, hints, redis.pcall('ZCARD', waiting) }
local head = later and redis.pcall('ZRANGE', delayed, 0, 0, 'WITHSCORES') or {}
refused[#refused + 1] = head
refused[#refused + 1] = fresh == '' and redis.pcall('ZCARD', recent)
for _, reply in ipairs(refused) do
  if type(reply) == 'table' and reply.err then
    return expect(meta, 'hash') or expect(wake_list, 'list') or expect(waiting, 'zset')
      or expect(delayed, 'zset') or expect(recent, 'zset') or reply
  end
end

local at = clock(now)
local first_seq = tonumber(last or '0')
local seq, places, soon, words = first_seq, {}, false, {}
local next_due = tonumber(head[2] or 'inf')

local function due_of(due)
  if due == '' then return at end
  local span = string.match(due, '^%+(.*)$')
  return span and at + tonumber(span) or tonumber(due)
end

-- Write a record; false when there was one.
local function record(key, k, due_at)
  if ARGV[k + 3] == '5' and ARGV[k + 5] == '' and due_at <= at then
    return redis.call('HSET', key, 'task', ARGV[k + 1], 'args', ARGV[k + 2], 'at', at) == 3
  end
  local fields = { 'task', ARGV[k + 1], 'args', ARGV[k + 2], 'at', at }
  local function say(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if ARGV[k + 3] ~= '5' then say('priority', ARGV[k + 3]) end
  if ARGV[k + 5] ~= '' then say('options', ARGV[k + 5]) end
  if due_at > at then say('due', due_at) end
  if ARGV[k + 5] ~= '' or due_at > at then say('more', '1') end
  return redis.call('HSET', key, unpack(fields)) == #fields / 2
end

local function known(key, id)
  return fresh == '' and (redis.call('EXISTS', key) == 1 or redis.call('ZSCORE', recent, id))
end

for k = jobs_at, #ARGV, 6 do
  local id, key, due_at = ARGV[k], job_prefix .. ARGV[k], due_of(ARGV[k + 4])
  if known(key, id) or not record(key, k, due_at) then
    words[#words + 1] = 'duplicate'
  else
    if due_at > at then
      redis.call('ZADD', delayed, due_at, id)
      if due_at < next_due then
        next_due, soon = due_at, true
      end
    else
      seq = seq + 1
      places[#places + 1] = tonumber(ARGV[k + 3]) * PRIORITY_SPAN + seq
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
if seq > first_seq then redis.call('HSET', meta, 'seq', seq) end
-- A sooner due time wakes somebody too: idle workers sleep until the next one they know of.
if (seq > first_seq or soon) and hints < WAKE_CAP then redis.call('RPUSH', wake_list, '1') end
return words
