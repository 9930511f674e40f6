-- Prepended to every script. Small on purpose: what two transitions share, and nothing else.

local PRIORITY_SPAN = 2 ^ 40 -- a place in line is priority * 2^40 + sequence, exact in a double
local WAKE_CAP = 16          -- tokens are hints: more than a handful of them tell nothing new
local MOST_FIELDS = 32768    -- what a tally counts by names that no worker knows, it counts up to here
local SET_ASIDE = 4e15       -- scores of `delayed` from here on are no times: such jobs' tasks are paused
local WINDOW_MS = 30000      -- removed ids are remembered for two to three windows
local REMEMBERED_MS = 60000  -- and only those of jobs that ended less than this ago

-- Lua's tostring loses digits from 1e14 on; a claim number has sixteen. %d is exact to 2^63.
local function int(number)
  return string.format('%d', number)
end

-- Read a number that was written here. Whatever else stands there counts as `otherwise`: a script
-- that fails between two writes leaves a job nowhere, so no value may make it fail.
local function whole(text, otherwise)
  if text and #text <= 16 and string.find(text, '^%-?%d+$') then return tonumber(text) end
  return otherwise
end

-- Add to a statistic. One that cannot be read begins anew: it is not worth a job.
local function add_up(key, field, n)
  if type(redis.pcall('HINCRBY', key, field, n)) ~= 'number' then redis.pcall('HSET', key, field, n) end
end

-- The store's clock decides; tests may inject another.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A time as a producer says it: '' is now, '+N' is N ms from now, N is ms since 1970.
local function instant(said, at)
  if said == '' then return at end
  return string.sub(said, 1, 1) == '+' and at + tonumber(string.sub(said, 2)) or tonumber(said)
end

-- When a new job may start, and after which time it may not, as its producer says it: a time, then
-- perhaps 'x' and another one.
local function times(said, at)
  if said == '' then return at end
  local from, to = string.match(said, '^([^x]*)x?(.*)$')
  return instant(from, at), to ~= '' and instant(to, at) or nil
end

-- The fields of a new record. Only what no container says is written; `more` tells the claim that
-- there is more than the plain. Numbers go to Redis as they are (it writes 17 digits of them).
local function record_of(task, args, priority, options, at, due_at, seq, expires)
  local fields = { 'task', task, 'args', args, 'at', at, due_at > at and 'due' or 'seq', due_at > at and due_at or seq }
  local n = 8
  local function put(name, value)
    fields[n + 1], fields[n + 2], n = name, value, n + 2
  end
  if priority ~= '5' then put('priority', priority) end
  if options ~= '' then put('options', options) end
  if expires then put('expires', int(expires)) end
  if options ~= '' or expires then
    put('more', '1')
  elseif due_at > at then
    put('more', 'd') -- only that it was delayed
  end
  return fields
end

-- Redis does not roll a failed script back, so types are checked before the first write.
local function expect(key, kind)
  local found = redis.call('TYPE', key).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('JOBDTYPE ' .. key .. ' is a ' .. found .. ', expected a ' .. kind)
  end
end

-- At maxmemory Redis refuses a script at its first memory-using write, unless it wrote before.
-- Removing nothing is such a write: it lets everything but adding go on.
local function open_the_door(leases)
  redis.call('ZREM', leases, '')
end

-- pcall: a hint that cannot be given is no reason to fail; whoever waits looks again by itself.
local function wake(list)
  local hints = redis.pcall('LLEN', list)
  if type(hints) == 'number' and hints < WAKE_CAP then redis.call('RPUSH', list, '1') end
end

-- Tell who waits for this job's end. Costs one lookup where nobody waits.
local function announce(awaited, id)
  if redis.pcall('ZREM', awaited, id) == 1 then redis.call('PUBLISH', awaited .. ':' .. id, '1') end
end

-- A job's place in line, by its record, whether its end was asked for while it ran, and whether it was
-- added with a lock. One that cannot be read goes to where it is found out.
local function place_of(key)
  local record = redis.pcall('HMGET', key, 'priority', 'seq', 'cancel', 'unique')
  if record.err then return int(5 * PRIORITY_SPAN) end
  return int(whole(record[1], 5) * PRIORITY_SPAN + whole(record[2], 0)), record[3], record[4]
end

-- Where a job is. One that is recorded and listed nowhere is in a worker's hands.
local function state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if redis.call('ZSCORE', waiting, id) then return 'waiting' end
  if redis.call('ZSCORE', delayed, id) then return 'delayed' end
  if redis.call('ZSCORE', completed, id) then return 'completed' end
  if redis.call('ZSCORE', dead, id) then return 'dead' end
  if redis.call('ZSCORE', cancelled, id) then return 'cancelled' end
  if redis.call('EXISTS', key) == 1 then return 'active' end
  return 'gone'
end

-- What a record says of the lock its job was added with: until when it holds (finished, started,
-- ttl), and its digest. Nothing for a job that asked for none.
local function lock_of(key)
  local mark = redis.pcall('HGET', key, 'unique')
  if type(mark) == 'string' then return string.match(mark, '^(%a+) (%x+)$') end
end

-- Let go of a lock, if it is this job that holds it. Called with what `lock_of` gave.
local function unlock(unique_prefix, id, _, digest)
  if not digest then return end
  local said = redis.pcall('GET', unique_prefix .. digest)
  if type(said) == 'string' and string.match(said, '^%S+') == id then redis.call('DEL', unique_prefix .. digest) end
end

-- Let an ended job's record stay until a time of its own. The record says so, too: so an entry that
-- was left of an earlier job of this id counts for nothing.
local function retain(expiring, key, id, until_ms)
  redis.call('ZADD', expiring, int(until_ms), id)
  redis.call('HSET', key, 'retained', int(until_ms))
end

-- The one place where a job becomes cancelled. `cancel` is when that was asked for.
local function end_cancelled(cancelled, awaited, unique_prefix, key, id, now)
  unlock(unique_prefix, id, lock_of(key))
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end
  redis.call('HSETNX', key, 'cancel', int(now))
  redis.call('ZADD', cancelled, int(now), id)
  announce(awaited, id)
end

-- Count what became of a job by its task, as settle counts. A record may say anything; and whoever
-- adds jobs under ever new names and cancels them shall not make the tally grow without end.
local function count_of_task(tally, outcome, key)
  local task = redis.pcall('HGET', key, 'task')
  local is_name = type(task) == 'string' and #task <= 128 and string.find(task, '^[%w_.:%-]+$')
  local field = outcome .. '|' .. (is_name and task or '?')
  if redis.pcall('HEXISTS', tally, field) == 0 then
    local fields = redis.pcall('HLEN', tally)
    if type(fields) == 'number' and fields >= MOST_FIELDS then field = outcome .. '|?' end
  end
  add_up(tally, field, 1)
end

-- Count what became of jobs in this minute, by outcome. Statistics only: the one place where losing a
-- key to its TTL is harmless. pcall: no transition fails by what a stranger has put there.
local function count_of_minute(minute_prefix, now, counts)
  local key = minute_prefix .. int(math.floor(now / 60000))
  for outcome, n in pairs(counts) do
    add_up(key, outcome, int(n))
  end
  redis.pcall('PEXPIRE', key, 7200000)
end

-- Write a line more into a job's history. Appending to a JSON array is text; a history that grew too
-- long keeps its beginning.
local function chronicle(key, note)
  local history = redis.call('HGET', key, 'history')
  if not history or history == '[]' then
    redis.call('HSET', key, 'history', '[' .. note .. ']', 'more', '1')
  elseif #history < 65536 then
    redis.call('HSET', key, 'history', string.sub(history, 1, -2) .. ',' .. note .. ']')
  end
end

-- Give jobs new places at the end of their lines. pcall: a record that cannot be read or written is
-- found out by the claim that meets it there.
local function line_up(waiting, meta, job_prefix, ids)
  local seq = whole(redis.call('HGET', meta, 'seq'), 0)
  local places = {}
  for i, id in ipairs(ids) do
    local key = job_prefix .. id
    local priority = redis.pcall('HGET', key, 'priority')
    redis.pcall('HSET', key, 'seq', int(seq + i))
    places[2 * i - 1] = whole(type(priority) == 'string' and priority, 5) * PRIORITY_SPAN + seq + i
    places[2 * i] = id
  end
  redis.call('HSET', meta, 'seq', int(seq + #ids))
  redis.call('ZADD', waiting, unpack(places))
end

-- Line up what comes due. Bounded by `limit`.
local function promote(delayed, waiting, meta, job_prefix, now, limit)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', int(now), 'LIMIT', 0, limit)
  if #due == 0 then return 0 end
  line_up(waiting, meta, job_prefix, due)
  redis.call('ZREMRANGEBYRANK', delayed, 0, #due - 1)
  return #due
end

-- When the next delayed job is due; '' when none is.
local function next_due(delayed)
  local due = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  return due and tonumber(due) < SET_ASIDE and due or ''
end

-- Ids whose records are gone are remembered all the same, so that a late repeat of an add is known
-- as one. A set for each window of time: the oldest goes as a whole.
local function window(recent_prefix, now, back)
  return recent_prefix .. int(math.floor(now / WINDOW_MS) - back)
end

local function remember(recent_prefix, now, ids)
  local key = window(recent_prefix, now, 0)
  redis.call('SADD', key, unpack(ids))
  redis.call('PEXPIRE', key, 4 * WINDOW_MS)
end

local function is_remembered(recent_prefix, now, id)
  for back = 0, 2 do
    if redis.pcall('SISMEMBER', window(recent_prefix, now, back), id) == 1 then return true end
  end
  return false
end

-- Let the application hear of what has just become true of a job, where its workers said (in `hooks`)
-- that it wants to: by a job like any other, so that this survives whoever dies, is tried again, and
-- is seen. What becomes of that job is told by no other. `line` is { waiting, meta, wake_list, job_prefix }.
local function tell(line, event, id, cause, now)
  local waiting, meta, wake_list, job_prefix = unpack(line)
  local hooks = redis.call('HGET', meta, 'hooks')
  if not hooks or not string.find(hooks, event, 1, true) then return end
  local found = redis.pcall('HMGET', job_prefix .. id, 'task', 'error')
  local task, failure = found[1] or '?', found[2] and string.sub(found[2], 1, 1000) or nil
  if string.sub(task, 1, 8) == 'jobd.on.' then return end
  local seq = whole(redis.call('HGET', meta, 'seq'), 0) + 1
  local new = 'on.' .. event .. ':' .. int(now) .. '-' .. int(seq)
  local args = cjson.encode({ job_id = id, task = string.sub(task, 1, 128), cause = cause, error = failure, at = now })
  redis.call('HSET', job_prefix .. new, 'task', 'jobd.on.' .. event, 'args', args, 'at', int(now), 'seq', int(seq))
  redis.call('HSET', meta, 'seq', int(seq))
  redis.call('ZADD', waiting, int(5 * PRIORITY_SPAN + seq), new)
  wake(wake_list)
end

-- Record a death: the one place where a job becomes dead. `line` is as `tell` wants it.
local function bury(dead, outbox, awaited, unique_prefix, key, id, cause, now, line)
  unlock(unique_prefix, id, lock_of(key))
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end
  redis.call('HSET', key, 'cause', cause, 'more', '1')
  redis.call('ZADD', dead, int(now), id)
  redis.call('XADD', outbox, 'MAXLEN', '~', '10000', '*', 'event', 'dead', 'id', id, 'cause', cause)
  announce(awaited, id)
  tell(line, 'dead', id, cause, now)
end

-- Whether a schedule still has somebody who wants it: one that a host's code or file declares goes
-- without, ten minutes after the last of them said so.
local function is_declared(origin, declared_at, at)
  return origin ~= 'declared' or at - whole(declared_at, 0) <= 600000
end
