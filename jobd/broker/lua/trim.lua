-- trim: completed | dead | cancelled -> -
-- KEYS    leases completed dead cancelled expiring awaited meta recent:* job:*
-- ARGV    now limit keeper retention...
-- REPLY   ok <removed> <'more', or ''> | busy
-- REPLAY  what was removed is gone: a repeat removes what is due next
-- WHY     Retention for queues where nothing settles: by the age a job asked for itself (expiring),
--         by the queue's ages, and by its counts. Each container is the state, so only finished
--         jobs can be found in one: a job revived in between is not there any more. At most
--         `limit` are looked at in a call; where that was not enough, this keeper has the next
--         second to go on, and others are `busy`: many hosts press no harder than one.
--         retention... is (name value) pairs, as join writes them into meta; what the queue's
--         workers said there when they joined goes before it.
local TURN_MS = 1000
open_the_door(leases)
for _, key in ipairs({ completed, dead, cancelled, expiring, awaited }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local at = clock(now)
local wrong = expect(meta, 'hash') or expect(window(recent_prefix, at, 0), 'set')
if wrong then return wrong end
local turn = redis.call('HGET', meta, 'trimming')
if turn then
  local ends, by = string.match(turn, '^(%d+) (.*)$')
  local rest = whole(ends, 0) - at
  if by ~= keeper and rest > 0 and rest <= TURN_MS then return { 'busy' } end
end

local rules, names = {}, {}
for i = retention_at, #ARGV, 2 do
  names[#names + 1] = ARGV[i]
  rules[ARGV[i]] = tonumber(ARGV[i + 1])
end
for i, said in ipairs(redis.call('HMGET', meta, unpack(names))) do
  rules[names[i]] = whole(said, rules[names[i]])
end
local removed, left = 0, tonumber(limit)
local own_times = redis.call('EXISTS', expiring) == 1

-- Remove jobs of one container: line is id, time of its end, id, time ..., and stands there from
-- place `first` on, or is scattered. A whole stretch costs Redis one search instead of one a job.
-- Nobody repeats the add of a job that ended long ago, so only the young are remembered.
local function remove(container, line, first)
  if #line == 0 then return end
  local ids, keys, young = {}, {}, {}
  for i = 1, #line, 2 do
    ids[#ids + 1], keys[#keys + 1] = line[i], job_prefix .. line[i]
    if tonumber(line[i + 1]) > at - REMEMBERED_MS then young[#young + 1] = line[i] end
  end
  if first then
    redis.call('ZREMRANGEBYRANK', container, first, first + #ids - 1)
  else
    redis.call('ZREM', container, unpack(ids))
  end
  redis.call('UNLINK', unpack(keys))
  if own_times then redis.call('ZREM', expiring, unpack(ids)) end
  if #young > 0 then remember(recent_prefix, at, young) end
  removed = removed + #ids
end

-- Whether an entry is of this very job: its record says the same.
local function is_asked(id, until_ms)
  local said = redis.pcall('HGET', job_prefix .. id, 'retained')
  return type(said) == 'string' and whole(said, 0) == tonumber(until_ms)
end

local function by_own_time()
  local entries = redis.call('ZRANGEBYSCORE', expiring, '-inf', int(at), 'LIMIT', 0, left, 'WITHSCORES')
  if #entries == 0 then return end
  local due, asked = {}, {}
  for i = 1, #entries, 2 do
    due[#due + 1], asked[#asked + 1] = entries[i], is_asked(entries[i], entries[i + 1])
  end
  left = left - #due
  for _, container in ipairs({ completed, dead, cancelled }) do
    local line = {}
    for i, ended in ipairs(redis.call('ZMSCORE', container, unpack(due))) do
      if ended and asked[i] then
        line[#line + 1] = due[i]
        line[#line + 1] = ended
      end
    end
    remove(container, line)
  end
  redis.call('ZREM', expiring, unpack(due)) -- also what is of no ended job: its queue's age counts
end

-- A job that asked for a longer life stays until its own time. Those at the head of the line are
-- passed once: where the last of them stood, the next look begins, or they would keep others alive.
local function spare(name, line)
  local ids, rest = {}, {}
  for i = 1, #line, 2 do
    ids[#ids + 1] = line[i]
  end
  for i, longer in ipairs(redis.call('ZMSCORE', expiring, unpack(ids))) do
    if longer then
      redis.call('HSET', meta, 'looked|' .. name, line[2 * i] .. ' ' .. ids[i])
    else
      rest[#rest + 1], rest[#rest + 2] = ids[i], line[2 * i]
    end
  end
  return rest
end

-- The place behind those. A clock that was set back may have put others before them: all anew.
local function first_place(container, name, oldest)
  local score, id = string.match(redis.call('HGET', meta, 'looked|' .. name) or '', '^(%d+) (.+)$')
  if not score or tonumber(score) > oldest then return 0 end
  local rank = redis.call('ZRANK', container, id)
  return rank and rank + 1 or redis.call('ZCOUNT', container, '-inf', '(' .. score)
end

local function by_age(container, name)
  local oldest = at - rules[name .. '_ms']
  local first = own_times and first_place(container, name, oldest) or 0
  local head = redis.call('ZRANGE', container, first, first, 'WITHSCORES')
  if left <= 0 or not head[2] or tonumber(head[2]) > oldest then return end
  local line = redis.call('ZRANGE', container, first, first + left - 1, 'WITHSCORES')
  while tonumber(line[#line]) > oldest do
    line[#line], line[#line - 1] = nil, nil
  end
  left = left - #line / 2
  local rest = own_times and spare(name, line) or line
  remove(container, rest, #rest == #line and first)
end

local function by_count(container, name)
  local most = rules[name .. '_count']
  local excess = most < 0 and 0 or math.min(redis.call('ZCARD', container) - most, left)
  if excess <= 0 then return end
  left = left - excess
  remove(container, redis.call('ZRANGE', container, 0, excess - 1, 'WITHSCORES'), 0)
end

if own_times then by_own_time() end
for _, one in ipairs({ { completed, 'completed' }, { dead, 'dead' }, { cancelled, 'cancelled' } }) do
  by_age(unpack(one))
  by_count(unpack(one))
end
local old = math.min(redis.call('ZCOUNT', awaited, '-inf', int(at)), tonumber(limit))
if old > 0 then redis.call('ZREMRANGEBYRANK', awaited, 0, old - 1) end
if left <= 0 then
  redis.call('HSET', meta, 'trimming', int(at + TURN_MS) .. ' ' .. keeper)
elseif turn then
  redis.call('HDEL', meta, 'trimming')
end
return { 'ok', int(removed), left <= 0 and 'more' or '' }
