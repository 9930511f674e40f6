-- add: - -> waiting | delayed
-- KEYS    waiting delayed meta wake_list recent:* job:*
-- ARGV    now only_known fresh jobs...
-- REPLY   added | duplicate, a word a job; the error JOBDUNKNOWN
-- REPLAY  an id that is recorded, or finished within the last 60 s, is answered `duplicate`
-- WHY     Adding is idempotent by id, so a producer that lost the reply may simply ask again.
--         `fresh` says that the ids were made a moment ago and sent once: then nothing is looked up
--         before, and only the answer to the write tells that a record was there after all.
--         With `only_known` nothing is added where nothing ever was since the store was emptied: then
--         the queue's name may be gone, too, and has to be in `queues` first (a key of another slot).
--         It is the one script that Redis may refuse at maxmemory: its first write needs memory.
--         jobs... is, for each: id task args priority due options; due is '' (now), '+N' (ms from
--         now) or N (ms since 1970), then perhaps 'x' and when it expires.
--         Jobs that ask for more than to be added go through add_once.
-- These reads are needed, or cost less than asking for types: each refuses a key of a wrong type
-- before the first write. Only when one did are the types asked for, to name the key.
local last, hints = redis.pcall('HGET', meta, 'seq'), redis.pcall('LLEN', wake_list)
local line, memory, head = redis.pcall('ZCARD', waiting), 0, {}
local at = clock(now)
if fresh == '' then memory = redis.pcall('SCARD', window(recent_prefix, at, 0)) end
for k = jobs_at + 4, #ARGV, 6 do
  if ARGV[k] ~= '' then
    head = redis.pcall('ZRANGE', delayed, 0, 0, 'WITHSCORES')
    break
  end
end
if type(last) == 'table' or type(hints) == 'table' or type(line) == 'table' or type(memory) == 'table' or head.err then
  return expect(meta, 'hash') or expect(wake_list, 'list') or expect(waiting, 'zset')
    or expect(window(recent_prefix, at, 0), 'set') or expect(delayed, 'zset') or head
end

if only_known ~= '' and not last then return redis.error_reply('JOBDUNKNOWN ' .. meta) end

local first_seq = whole(last or nil, 0)
local seq, places, soon, words = first_seq, {}, false, {}
local next_due = tonumber(head[2] or 'inf')

for k = jobs_at, #ARGV, 6 do
  local id, priority, due, options = ARGV[k], ARGV[k + 3], ARGV[k + 4], ARGV[k + 5]
  local key, due_at, new, expires = job_prefix .. id, at, true, nil
  if due ~= '' then
    due_at, expires = times(due, at)
  end
  if fresh == '' and (redis.call('EXISTS', key) == 1 or is_remembered(recent_prefix, at, id)) then
    new = false
  elseif priority == '5' and options == '' and due_at <= at and not expires then
    new = redis.call('HSET', key, 'task', ARGV[k + 1], 'args', ARGV[k + 2], 'at', at, 'seq', seq + 1) == 4
  else
    local fields = record_of(ARGV[k + 1], ARGV[k + 2], priority, options, at, due_at, seq + 1, expires)
    new = redis.call('HSET', key, unpack(fields)) == #fields / 2
  end
  words[#words + 1] = new and 'added' or 'duplicate'
  if new and due_at > at then
    redis.call('ZADD', delayed, due_at, id)
    if due_at < next_due then
      next_due, soon = due_at, true
    end
  elseif new then
    seq = seq + 1
    places[#places + 1] = tonumber(priority) * PRIORITY_SPAN + seq
    places[#places + 1] = id
    if #places >= 2000 then
      redis.call('ZADD', waiting, unpack(places))
      places = {}
    end
  end
end
if #places > 0 then redis.call('ZADD', waiting, unpack(places)) end
if seq > first_seq or not last then redis.call('HSET', meta, 'seq', seq) end
-- A sooner due time wakes somebody too: idle workers sleep until the next one they know of.
if (seq > first_seq or soon) and hints < WAKE_CAP then redis.call('RPUSH', wake_list, '1') end
return words
