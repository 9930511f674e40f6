-- Prepended to every script. Small on purpose: what two transitions share, and nothing else.

local PRIORITY_SPAN = 2 ^ 40 -- a place in line is priority * 2^40 + sequence, exact in a double
local WAKE_CAP = 16          -- tokens are hints: more than a handful of them tell nothing new
local REMEMBER_MS = 60000    -- finished ids are remembered this long whatever retention says

-- Lua's tostring loses digits from 1e14 on; a claim number has sixteen.
local function int(number)
  return string.format('%.0f', number)
end

-- The store's clock decides; tests may inject another.
local function clock(given)
  if given ~= '' then return tonumber(given) end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
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

local function wake(list)
  if redis.call('LLEN', list) < WAKE_CAP then redis.call('RPUSH', list, '1') end
end

-- Tell who waits for this job's end. Costs one lookup where nobody waits.
local function announce(awaited, id)
  if redis.call('ZREM', awaited, id) == 1 then redis.call('PUBLISH', awaited .. ':' .. id, '1') end
end

-- Give jobs that come due their places in line. Bounded by `limit`.
local function promote(delayed, waiting, meta, job_prefix, now, limit)
  local due = redis.call('ZRANGEBYSCORE', delayed, '-inf', int(now), 'LIMIT', 0, limit)
  if #due == 0 then return 0 end
  local seq = tonumber(redis.call('HGET', meta, 'seq') or '0')
  local places = {}
  for i, id in ipairs(due) do
    local priority = redis.pcall('HGET', job_prefix .. id, 'priority')
    priority = type(priority) == 'string' and tonumber(priority) or 5
    places[#places + 1] = int(priority * PRIORITY_SPAN + seq + i)
    places[#places + 1] = id
  end
  redis.call('HSET', meta, 'seq', int(seq + #due))
  redis.call('ZADD', waiting, unpack(places))
  redis.call('ZREM', delayed, unpack(due))
  return #due
end

-- Record a death: the one place where a job becomes dead.
local function bury(dead, outbox, awaited, key, id, cause, now)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end
  redis.call('HSET', key, 'cause', cause, 'more', '1')
  redis.call('ZADD', dead, int(now), id)
  redis.call('XADD', outbox, 'MAXLEN', '~', '10000', '*', 'event', 'dead', 'id', id, 'cause', cause)
  announce(awaited, id)
end
