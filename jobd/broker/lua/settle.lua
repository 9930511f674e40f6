-- settle: active -> completed | delayed | waiting | dead
-- KEYS    leases held completed dead delayed waiting meta wake_list recent expiring awaited tally outbox minute:* job:*
-- ARGV    now incarnation lease_ms keep plain sums items...
-- REPLY   ok <now> <ids that were not this worker's any more>... | fenced
-- REPLAY  a settled job is no longer held, so a repeat finds it gone and writes nothing, counts nothing
-- WHY     (job, claim) must match what is held, or nothing of that job is touched: a stale worker
--         cannot change anything, also not a counter. All values are absolute.
--         items... is first `sums` pairs (field amount) of the histograms' sums, then `plain`
--         completed jobs (id claim figures result), then the others, each
--         (verb id claim figures delay_ms cause n field value ...), verb one of
--         done (completed, with fields), retry (runs again after delay_ms), dead (with cause).
--         figures is "task|wait bucket|run bucket|total bucket".
--         Trimming rides along, at most two removed for each settled: Redis never holds more than
--         `keep` completed jobs for long, and no settle takes long.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
for _, check in ipairs({ { held, 'hash' }, { completed, 'zset' }, { dead, 'zset' }, { delayed, 'zset' }, { waiting, 'zset' }, { meta, 'hash' }, { recent, 'zset' }, { expiring, 'zset' }, { awaited, 'zset' }, { tally, 'hash' }, { outbox, 'stream' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local at = clock(now)
local stamp = int(at)
if tonumber(score) < at + tonumber(lease_ms) / 2 then
  redis.call('ZADD', leases, 'XX', int(at + tonumber(lease_ms)), incarnation)
end
plain, sums, keep = tonumber(plain), tonumber(sums), tonumber(keep)

local gone, counts, accepted, total = {}, {}, 0, 0
local finished, finished_scores, leaving = {}, {}, {}
local listened = redis.call('EXISTS', awaited) == 1

local function ours(entry, claim)
  return entry and string.sub(entry, 1, #claim + 1) == claim .. ':'
end

local function count(outcome, figures)
  local key = outcome .. '|' .. figures
  counts[key] = (counts[key] or 0) + 1
  accepted = accepted + 1
end

local function complete(id, figures)
  finished[#finished + 1] = id
  finished_scores[#finished_scores + 1] = stamp
  finished_scores[#finished_scores + 1] = id
  leaving[#leaving + 1] = id
  count('completed', figures)
end

local first = items_at + sums * 2
if plain > 0 then
  local ids = {}
  for i = 0, plain - 1 do
    ids[i + 1] = ARGV[first + i * 4]
  end
  local entries = redis.call('HMGET', held, unpack(ids))
  for i = 1, plain do
    local k = first + (i - 1) * 4
    total = total + 1
    if ours(entries[i], ARGV[k + 1]) then
      -- pcall: a record that was overwritten by a stranger loses its result, not its neighbours
      if ARGV[k + 3] ~= '' then redis.pcall('HSET', job_prefix .. ids[i], 'result', ARGV[k + 3]) end
      complete(ids[i], ARGV[k + 2])
    else
      gone[#gone + 1] = ids[i]
    end
  end
end

local again = false
local seq
local k = first + plain * 4
while ARGV[k] do
  local verb, id, claim, figures = ARGV[k], ARGV[k + 1], ARGV[k + 2], ARGV[k + 3]
  local delay, cause, n = tonumber(ARGV[k + 4]), ARGV[k + 5], tonumber(ARGV[k + 6])
  local key = job_prefix .. id
  local entry = redis.call('HGET', held, id)
  total = total + 1
  if ours(entry, claim) then
    if redis.call('TYPE', key).ok ~= 'hash' then redis.call('UNLINK', key) end
    redis.call('HDEL', key, 'ended')
    if n > 0 then redis.call('HSET', key, 'more', '1', unpack(ARGV, k + 7, k + 6 + n * 2)) end
    if verb == 'done' then
      complete(id, figures)
      if delay > 0 then redis.call('ZADD', expiring, int(at + delay), id) end
    elseif verb == 'dead' then
      bury(dead, outbox, awaited, key, id, cause, at)
      if delay > 0 then redis.call('ZADD', expiring, int(at + delay), id) end
      leaving[#leaving + 1] = id
      count('dead', figures)
    else
      again = true
      leaving[#leaving + 1] = id
      count(cause, figures)
      if delay > 0 then
        redis.call('ZADD', delayed, int(at + delay), id)
        redis.call('HSET', key, 'due', int(at + delay), 'more', '1')
      else
        seq = (seq or tonumber(redis.call('HGET', meta, 'seq') or '0')) + 1
        local priority = tonumber(redis.call('HGET', key, 'priority') or '5')
        redis.call('ZADD', waiting, int(priority * PRIORITY_SPAN + seq), id)
      end
    end
  else
    gone[#gone + 1] = id
  end
  k = k + 7 + n * 2
end
if seq then redis.call('HSET', meta, 'seq', int(seq)) end
if again then wake(wake_list) end
if #leaving > 0 then redis.call('HDEL', held, unpack(leaving)) end

if #finished > 0 then
  redis.call('ZADD', completed, unpack(finished_scores))
  if listened then
    for _, id in ipairs(finished) do
      announce(awaited, id)
    end
  end
  local excess = math.min(redis.call('ZCARD', completed) - keep, 2 * #finished)
  if excess > 0 then
    local old = redis.call('ZPOPMIN', completed, excess)
    local keys, memory = {}, {}
    for i = 1, #old, 2 do
      keys[#keys + 1] = job_prefix .. old[i]
      memory[#memory + 1] = old[i + 1]
      memory[#memory + 1] = old[i]
    end
    redis.call('UNLINK', unpack(keys))
    redis.call('ZADD', recent, unpack(memory))
    local forget = math.min(redis.call('ZCOUNT', recent, '-inf', int(at - REMEMBER_MS)), 2 * excess)
    if forget > 0 then redis.call('ZREMRANGEBYRANK', recent, 0, forget - 1) end
  end
end

if accepted > 0 then
  local fields, minute = {}, {}
  for figure, n in pairs(counts) do
    local outcome, task, wait, run, whole = string.match(figure, '^([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$')
    for _, field in ipairs({ outcome .. '|' .. task, 'wait|' .. task .. '|' .. wait, 'run|' .. task .. '|' .. run, 'total|' .. task .. '|' .. whole }) do
      fields[field] = (fields[field] or 0) + n
    end
    minute[outcome] = (minute[outcome] or 0) + n
  end
  for i = 0, sums - 1 do
    local field, amount = ARGV[items_at + i * 2], tonumber(ARGV[items_at + i * 2 + 1])
    fields[field] = (fields[field] or 0) + math.floor(amount * accepted / total + 0.5)
  end
  for field, n in pairs(fields) do
    redis.call('HINCRBY', tally, field, int(n))
  end
  local this_minute = minute_prefix .. int(math.floor(at / 60000))
  for outcome, n in pairs(minute) do
    redis.call('HINCRBY', this_minute, outcome, int(n))
  end
  -- Statistics only: the one place where losing a key to its TTL is harmless.
  redis.call('PEXPIRE', this_minute, 7200000)
end
return { 'ok', stamp, unpack(gone) }
