-- claim: waiting -> active (waiting -> dead where the record cannot be read)
-- KEYS    waiting delayed leases held meta wake_list dead outbox awaited unique:* job:*
-- ARGV    now incarnation lease_ms slots limit budget_us max_bytes known...
-- REPLY   ok <claim> <now> <next due, or ''> (<id> <task> <args> <at> <more>)... | fenced
-- REPLAY  not repeated: after a lost reply the worker reconciles, which finds what was claimed
-- WHY     One number for the call, strictly growing even after data loss: it fences every later
--         write about these jobs. held says who has what; the record says where in line it stood.
--         As many jobs as fit in budget_us by the known
--         costs (task, microseconds); a slow or unknown task is taken one per free slot, so that
--         nothing waits behind it. A job that was lost with a host before is claimed alone: only
--         then does a second loss accuse it. <more> is nothing for a plain job, its due time for one
--         that was only delayed, else the whole record.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
for _, check in ipairs({ { waiting, 'zset' }, { delayed, 'zset' }, { held, 'hash' }, { meta, 'hash' }, { dead, 'zset' }, { outbox, 'stream' }, { awaited, 'zset' }, { wake_list, 'list' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local at = clock(now)
if tonumber(score) < at + tonumber(lease_ms) / 2 then
  redis.call('ZADD', leases, 'XX', int(at + tonumber(lease_ms)), incarnation)
end
promote(delayed, waiting, meta, job_prefix, at, 128)

slots, limit = tonumber(slots), tonumber(limit)
budget_us, max_bytes = tonumber(budget_us), tonumber(max_bytes)
local costs = {}
for i = known_at, #ARGV, 2 do
  costs[ARGV[i]] = tonumber(ARGV[i + 1])
end

local taken, corrupt, ids, jobs = 0, {}, {}, {}
local spent, bytes, only_fast, looked, alone = 0, 0, true, 0, false

-- Take one line of the queue; false means: not this one, and so none behind it.
local function take(id)
  local key = job_prefix .. id
  local record = redis.pcall('HMGET', key, 'task', 'args', 'at', 'more')
  local task, args, more = record[1], record[2], false
  local added = record[3] or ''
  -- Milliseconds have 13 digits for two more centuries; longer ones are no time at all.
  if record.err or not task or not args or #added > 14 or not string.find(added, '^%d+$') then
    corrupt[#corrupt + 1] = id
    return true
  end
  if record[4] == 'd' then
    more = { 'due', redis.call('HGET', key, 'due') or '' }
  elseif record[4] then
    more = redis.call('HGETALL', key)
    for i = 1, #more, 2 do
      if more[i] == 'lost' then
        if taken > 0 then return false end
        alone = true
      elseif string.byte(more[i]) == 126 then -- '~': a note; it may be long, and its name says enough
        more[i + 1] = ''
      end
    end
  end
  local cost = costs[task]
  if taken >= slots and (not cost or not only_fast or spent + cost > budget_us) then return false end
  if taken > 0 and bytes + #args > max_bytes then return false end
  if cost then
    spent = spent + cost
  else
    only_fast = false
  end
  local n = taken * 5
  taken, bytes = taken + 1, bytes + #args
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
if look(0, first - 1) and only_fast and limit > first then look(first, limit - 1) end
if looked > 0 then redis.call('ZREMRANGEBYRANK', waiting, 0, looked - 1) end
for _, id in ipairs(corrupt) do
  bury(dead, outbox, awaited, unique_prefix, job_prefix .. id, id, 'corrupt', at, { waiting, meta, wake_list, job_prefix })
end
local head = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
if taken == 0 then
  if #corrupt > 0 and redis.call('EXISTS', waiting) == 1 then wake(wake_list) end
  return { 'ok', '0', int(at), head[2] or '' }
end

local claim = math.max(whole(redis.call('HGET', meta, 'claim'), 0) + 1, at * 1024)
claim = int(claim)
redis.call('HSET', meta, 'claim', claim)
local entries = {}
for i = 1, taken do
  entries[2 * i - 1], entries[2 * i] = ids[i], claim
end
redis.call('HSET', held, unpack(entries))
if redis.call('EXISTS', waiting) == 1 then wake(wake_list) end
return { 'ok', claim, int(at), head[2] or '', unpack(jobs) }
