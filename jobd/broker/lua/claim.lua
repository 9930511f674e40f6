-- claim: waiting -> active (waiting -> dead where the record cannot be read, -> delayed where its task is paused)
-- KEYS    waiting delayed leases held meta off rate wake_list dead outbox awaited tally held:* unique:* job:*
-- ARGV    now incarnation lease_ms slots limit budget_us max_bytes ahead_ms known...
-- REPLY   ok <claim> <now> <come again at, or ''> <word> <within> <start at> (<id> <task> <args> <at> <more>)... | fenced
-- WITH    rate paused_tasks
-- REPLAY  not repeated: after a lost reply the worker reconciles, which finds what was claimed
-- WHY     One number for the call, strictly growing even after data loss: it fences every later
--         write about these jobs. held says who has what; the record says where in line it stood.
--         As many jobs as fit in budget_us by the known
--         costs (task, microseconds); a slow or unknown task is taken one per free slot, so that
--         nothing waits behind it. A job that was lost with a host before is claimed alone: only
--         then does a second loss accuse it. <more> is nothing for a plain job, its due time for one
--         that was only delayed, else the whole record but the arguments, which come by themselves, and
--         the values of notes. All that is replied counts against max_bytes; the first job always goes.
--         What holds the queue back is decided here and nowhere else, in the script that takes: so
--         it holds for every worker of every host from the instant it is written. word says that it
--         is why there is nothing (or less than there are slots): paused | throttled | capped |
--         limited, else ''. A queue with a
--         rate limit says when its jobs may start, up to ahead_ms from now, and `within` how many ms
--         they have to or go back: the log counts claims, and what people count is starts.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
for _, check in ipairs({ { waiting, 'zset' }, { delayed, 'zset' }, { held, 'hash' }, { dead, 'zset' }, { outbox, 'stream' }, { awaited, 'zset' }, { wake_list, 'list' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local said = redis.pcall('HMGET', meta, 'claim', 'paused', 'not_before', 'max_active', 'rate_max', 'rate_ms', 'off')
if said.err then return expect(meta, 'hash') or said end
local paused, not_before, max_active = said[2], whole(said[3], 0), whole(said[4], 0)
local rate_max, rate_ms, some_off = whole(said[5], 0), whole(said[6], 0), said[7]
local is_limited = rate_max > 0 and rate_ms > 0
local wrong = is_limited and expect(rate, 'hash') or some_off and expect(off, 'hash')
if wrong then return wrong end

local at = clock(now)
if tonumber(score) < at + tonumber(lease_ms) / 2 then
  redis.call('ZADD', leases, 'XX', int(at + tonumber(lease_ms)), incarnation)
end
slots, limit, ahead_ms = tonumber(slots), tonumber(limit), tonumber(ahead_ms)
local asked = slots
budget_us, max_bytes = tonumber(budget_us), tonumber(max_bytes)
local within = is_limited and int(rate_guard(rate_ms)) or ''

local function nothing(word, again)
  return { 'ok', '0', int(at), again or '', word, within, '' }
end

if paused then return nothing('paused') end
if not_before > at then return nothing('throttled', int(not_before)) end
if not_before > 0 then redis.call('HDEL', meta, 'not_before', 'throttled_by') end

-- Whoever holds a job counts: nothing has to be given back, so nothing can leak.
local room = math.huge
if max_active > 0 then
  room = max_active
  for _, name in ipairs(redis.call('ZRANGE', leases, 0, -1)) do
    local active = redis.pcall('HLEN', held_prefix .. name)
    if type(active) == 'number' then room = room - active end
  end
  if room <= 0 then return nothing('capped') end
  -- What one worker claims ahead would keep a place from another.
  slots = math.min(slots, room)
  limit, budget_us = slots, 0
end
promote(delayed, waiting, meta, job_prefix, at, 128)

local free, log, start_at = math.huge, nil, at
if is_limited then
  log = rate_open(rate, rate_ms, at)
  free = rate_max - log.used
  start_at = rate_opens(rate, log, rate_max, rate_ms, at)
  if start_at > at and redis.call('EXISTS', waiting) == 1 then
    if slots < 1 then return nothing('limited') end
    if start_at > at + ahead_ms then
      local come = free > 0 and start_at or rate_ticket(rate, log, rate_max, at)
      return nothing('limited', int(math.max(at + 1, come - math.floor(ahead_ms / 2))))
    end
    free = math.max(free, 1)
  end
  -- A batch is what the rate gives in ten ms: should its worker die, no more places are lost; and it
  -- is run as quickly as its claims were counted.
  slots = math.min(slots, free)
  limit = math.min(limit, free, math.max(slots, math.floor(rate_max * 10 / rate_ms)))
  budget_us = math.min(budget_us, rate_guard(rate_ms) * 500)
end

local costs = {}
for i = known_at, #ARGV, 2 do
  costs[ARGV[i]] = tonumber(ARGV[i + 1])
end
local aside_at = some_off and paused_tasks(off, waiting, delayed, meta, job_prefix)

local taken, corrupt, ids, jobs, aside = 0, {}, {}, {}, {}
local spent, bytes, only_fast, looked, alone = 0, 0, true, 0, false

-- What a record says beside what every record says, and how many bytes that is. '~' begins a note: it
-- may be long, and its name says enough; its value is not even read.
local function rest_of(key)
  local names, rest, size = {}, {}, 0
  for _, name in ipairs(redis.call('HKEYS', key)) do
    if string.byte(name) == 126 then
      rest[#rest + 1], rest[#rest + 2] = name, ''
    elseif name ~= 'args' then
      names[#names + 1] = name
    end
    size = size + #name
  end
  local was_lost = false
  for from = 1, #names, 1000 do -- as many as go on Lua's stack, whatever a stranger has put here
    local values = redis.call('HMGET', key, unpack(names, from, math.min(from + 999, #names)))
    for i, value in ipairs(values) do
      local name = names[from + i - 1]
      rest[#rest + 1], rest[#rest + 2] = name, value
      size, was_lost = size + #value, was_lost or name == 'lost'
    end
  end
  return rest, size, was_lost
end

-- Take one line of the queue; false means: not this one, and so none behind it.
local function take(id)
  local key = job_prefix .. id
  if aside_at then -- arguments are not read of what only moves aside
    local set_aside = aside_at[redis.pcall('HGET', key, 'task')]
    if set_aside then
      aside[#aside + 1], aside[#aside + 2] = set_aside, id
      return true
    end
  end
  local record = redis.pcall('HMGET', key, 'task', 'args', 'at', 'more')
  local task, args, more, size, was_lost = record[1], record[2], false, 0, false
  local added = record[3] or ''
  -- Milliseconds have 13 digits for two more centuries; longer ones are no time at all.
  if record.err or not task or not args or #added > 14 or not string.find(added, '^%d+$') then
    corrupt[#corrupt + 1] = id
    return true
  end
  local cost = costs[task]
  if taken >= limit then return false end
  if taken >= slots and (not cost or not only_fast or spent + cost > budget_us) then return false end
  if record[4] == 'd' then
    more = { 'due', redis.call('HGET', key, 'due') or '' }
  elseif record[4] then
    more, size, was_lost = rest_of(key)
  end
  size = size + #args
  if taken > 0 and (was_lost or bytes + size > max_bytes) then return false end
  alone = was_lost
  if cost then
    spent = spent + cost
  else
    only_fast = false
  end
  local n = taken * 5
  taken, bytes = taken + 1, bytes + size
  ids[taken] = id
  jobs[n + 1], jobs[n + 2], jobs[n + 3], jobs[n + 4], jobs[n + 5] = id, task, args, record[3], more
  return true
end

local function look(from, to)
  local line = redis.call('ZRANGE', waiting, from, to)
  for _, id in ipairs(line) do
    if alone or not take(id) then return false end
    looked = looked + 1
  end
  return #line > 0
end

local first = math.max(slots, 1) -- no free slot: look at one, and take it only if it is fast
if limit > 0 or not is_limited then
  local goes_on = look(0, first - 1)
  while goes_on and aside_at and taken < slots and looked < 1000 do
    goes_on = look(looked, looked + 255)
  end
  if goes_on and only_fast and limit > looked then look(looked, limit - 1) end
end
if looked > 0 then redis.call('ZREMRANGEBYRANK', waiting, 0, looked - 1) end
if #aside > 0 then redis.call('ZADD', delayed, unpack(aside)) end
for _, id in ipairs(corrupt) do
  bury(dead, outbox, awaited, unique_prefix, job_prefix .. id, id, 'corrupt', at, { waiting, meta, wake_list, job_prefix })
  add_up(tally, 'dead|?', 1)
  add_up(tally, 'unrun|?', 1)
end
local head = next_due(delayed)
if taken == 0 then
  if looked > 0 and redis.call('EXISTS', waiting) == 1 then wake(wake_list) end
  return nothing('', head)
end

local claim = int(math.max(whole(said[1], 0) + 1, start_at * 1024))
redis.call('HSET', meta, 'claim', claim)
local entries = {}
for i = 1, taken do
  entries[2 * i - 1], entries[2 * i] = ids[i], claim
end
redis.call('HSET', held, unpack(entries))
if is_limited then rate_count(rate, log, rate_max, rate_ms, start_at, claim, taken) end
local word = ''
if redis.call('EXISTS', waiting) == 1 then
  if taken < room and taken < free then
    wake(wake_list)
  elseif taken < asked then -- there are hands free, and what keeps them so is a limit
    word = taken < room and 'limited' or 'capped'
    if word == 'limited' then head = int(math.max(at + 1, rate_ticket(rate, log, rate_max, at) - math.floor(ahead_ms / 2))) end
  end
end
return { 'ok', claim, int(at), head, word, within, int(start_at), unpack(jobs) }
