-- settle: active -> completed | delayed | waiting | dead | cancelled
-- KEYS    leases held completed dead cancelled delayed waiting meta wake_list expiring awaited tally outbox minute:* recent:* unique:* job:*
-- ARGV    now incarnation lease_ms keep sums items...
-- REPLY   ok <now> <ids that were not this worker's any more>... | fenced
-- WITH    locks
-- REPLAY  a settled job is no longer held, so a repeat finds it gone and writes nothing, counts nothing
-- WHY     (job, claim) must match what is held, or nothing of that job is touched: a stale worker
--         cannot change anything, also not a counter. All values are absolute.
--         items... is first `sums` pairs (field amount) of the histograms' sums, then groups:
--         plain (completed, null result): claim figures n, then n ids;
--         value (completed with a result): claim figures n, then n pairs (id result);
--         told (completed, and says where and how long it ran): claim figures n, then n triples
--         (id, result or '', run's line);
--         any other word is one job: id claim figures delay_ms cause n, then n pairs (field value):
--         done (completed, with fields, or with a lock to let go of), retry (runs again after delay_ms), dead (with cause),
--         throttle (back to its place in line, and nothing of the queue is claimed for delay_ms; what
--         somebody else has asked for is never shortened), cancelled (it was told so, and ended). What was cancelled while it ran runs no more: its
--         retry ends as cancelled.
--         figures is "task|wait bucket|run bucket|total bucket"; "task|||" of what was no run: its
--         outcome is counted, and the histograms know nothing of it; a death is `unrun` as well.
--         Trimming rides along, a little more removed than was settled: Redis never holds more than
--         `keep` completed jobs for long, no settle takes long, and no worker pays for others. What
--         is more than that, the keepers trim in their time.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
local at = clock(now)
for _, check in ipairs({ { held, 'hash' }, { completed, 'zset' }, { dead, 'zset' }, { cancelled, 'zset' }, { delayed, 'zset' }, { waiting, 'zset' }, { meta, 'hash' }, { window(recent_prefix, at, 0), 'set' }, { expiring, 'zset' }, { awaited, 'zset' }, { tally, 'hash' }, { outbox, 'stream' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local stamp = int(at)
if tonumber(score) < at + tonumber(lease_ms) / 2 then
  redis.call('ZADD', leases, 'XX', int(at + tonumber(lease_ms)), incarnation)
end
sums, keep = tonumber(sums), tonumber(keep)

local gone, counts, accepted, total = {}, {}, 0, 0
local finished, scored, done = {}, {}, 0
local left, again, back, not_before, throttled_by = {}, {}, {}, 0, nil

local function count(outcome, figures, n)
  local key = outcome .. '|' .. figures
  counts[key] = (counts[key] or 0) + n
  accepted = accepted + n
end

local function complete(id)
  done = done + 1
  finished[done] = id
  scored[2 * done - 1], scored[2 * done] = stamp, id
end

-- What a completed job leaves in its record. pcall: one that was overwritten by a stranger loses it,
-- its neighbours do not.
local function leave(id, result, ran)
  if ran and result ~= '' then
    redis.pcall('HSET', job_prefix .. id, 'result', result, 'ran', ran)
  else
    redis.pcall('HSET', job_prefix .. id, ran and 'ran' or 'result', ran or result)
  end
end

-- A group of completed jobs, `width` arguments each, from argument `first` on.
local function group(first, width, claim, figures, n)
  local ids, before = {}, done
  for i = 1, n do
    ids[i] = ARGV[first + (i - 1) * width]
  end
  local claims = redis.call('HMGET', held, unpack(ids))
  for i = 1, n do
    if claims[i] == claim then
      if width > 1 and keep > 0 then
        local k = first + (i - 1) * width
        leave(ids[i], ARGV[k + 1], width == 3 and ARGV[k + 2])
      end
      complete(ids[i])
    else
      gone[#gone + 1] = ids[i]
    end
  end
  total = total + n
  if done > before then
    redis.call('HDEL', held, unpack(finished, before + 1, done))
    count('completed', figures, done - before)
  end
end

local function one(verb, id, claim, figures, delay, cause, fields, first)
  local key = job_prefix .. id
  total = total + 1
  if redis.call('HGET', held, id) ~= claim then
    gone[#gone + 1] = id
    return
  end
  if redis.call('TYPE', key).ok ~= 'hash' then redis.call('UNLINK', key) end
  redis.call('HDEL', key, 'ended')
  if fields > 0 then redis.call('HSET', key, 'more', '1', unpack(ARGV, first, first + fields * 2 - 1)) end
  left[#left + 1] = id
  if verb == 'done' then
    complete(id)
    local hold, digest = lock_of(key)
    if hold ~= 'ttl' then unlock(unique_prefix, id, hold, digest) end
    count('completed', figures, 1)
    if delay > 0 and keep > 0 then retain(expiring, key, id, at + delay) end
  elseif verb == 'dead' then
    bury(dead, outbox, awaited, unique_prefix, key, id, cause, at, { waiting, meta, wake_list, job_prefix })
    count('dead', figures, 1)
    if delay > 0 then retain(expiring, key, id, at + delay) end
  elseif verb == 'cancelled' or redis.call('HEXISTS', key, 'cancel') == 1 then
    end_cancelled(cancelled, awaited, unique_prefix, key, id, at)
    count('cancelled', figures, 1)
  else
    count(cause, figures, 1)
    back[#back + 1] = id
    if verb == 'throttle' then
      redis.call('ZADD', waiting, place_of(key), id)
      not_before, throttled_by = math.max(not_before, at + delay), id
    elseif delay > 0 then
      redis.call('ZADD', delayed, int(at + delay), id)
      redis.call('HSET', key, 'due', int(at + delay), 'more', '1')
    else
      again[#again + 1] = id
    end
    wake(wake_list)
  end
end

local WIDTHS = { plain = 1, value = 2, told = 3 }
local k = items_at + sums * 2
while ARGV[k] do
  local width = WIDTHS[ARGV[k]]
  if width then
    local n = tonumber(ARGV[k + 3])
    group(k + 4, width, ARGV[k + 1], ARGV[k + 2], n)
    k = k + 4 + n * width
  else
    local n = tonumber(ARGV[k + 6])
    one(ARGV[k], ARGV[k + 1], ARGV[k + 2], ARGV[k + 3], tonumber(ARGV[k + 4]), ARGV[k + 5], n, k + 7)
    k = k + 7 + n * 2
  end
end
if #again > 0 then line_up(waiting, meta, job_prefix, again) end
if #left > 0 then redis.call('HDEL', held, unpack(left)) end
for _, id in ipairs(back) do
  hold_again(unique_prefix, id, at, job_prefix, waiting, delayed, completed, dead, cancelled)
end
if not_before > whole(throttled_by and redis.call('HGET', meta, 'not_before'), 0) then
  redis.call('HSET', meta, 'not_before', int(not_before), 'throttled_by', throttled_by)
end

-- Remove records of completed jobs, and what they asked to be kept for. Their ids are remembered when
-- the last of them ended lately.
local function forget(ids, ended)
  local keys = {}
  for i, id in ipairs(ids) do
    keys[i] = job_prefix .. id
  end
  redis.call('UNLINK', unpack(keys))
  if redis.call('EXISTS', expiring) == 1 then redis.call('ZREM', expiring, unpack(ids)) end
  if ended > at - REMEMBERED_MS then remember(recent_prefix, at, ids) end
end

if done > 0 then
  if redis.call('EXISTS', awaited) == 1 then
    for _, id in ipairs(finished) do
      announce(awaited, id)
    end
  end
  if keep == 0 then
    forget(finished, at)
  else
    redis.call('ZADD', completed, unpack(scored))
    local excess = math.min(redis.call('ZCARD', completed) - keep, done + math.floor(done / 8) + 1)
    if excess > 0 then
      local ids = redis.call('ZRANGE', completed, 0, excess - 1)
      local ended = redis.call('ZSCORE', completed, ids[excess])
      redis.call('ZREMRANGEBYRANK', completed, 0, excess - 1)
      forget(ids, tonumber(ended))
    end
  end
end

if accepted > 0 then
  local fields, minute = {}, {}
  for figure, n in pairs(counts) do
    local outcome, task, wait, run, whole = string.match(figure, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
    local named = { outcome .. '|' .. task }
    if run ~= '' then
      named[2], named[3], named[4] = 'wait|' .. task .. '|' .. wait, 'run|' .. task .. '|' .. run, 'total|' .. task .. '|' .. whole
    end
    for _, field in ipairs(named) do
      fields[field] = (fields[field] or 0) + n
    end
    minute[outcome] = (minute[outcome] or 0) + n
    if outcome == 'dead' and run == '' then
      fields['unrun|' .. task] = (fields['unrun|' .. task] or 0) + n
      minute.unrun = (minute.unrun or 0) + n
    end
  end
  for i = 0, sums - 1 do
    local field, amount = ARGV[items_at + i * 2], tonumber(ARGV[items_at + i * 2 + 1])
    fields[field] = (fields[field] or 0) + math.floor(amount * accepted / total + 0.5)
  end
  for field, n in pairs(fields) do
    add_up(tally, field, int(n))
  end
  count_of_minute(minute_prefix, at, minute)
end
return { 'ok', stamp, unpack(gone) }
