-- jot: notes of running jobs: progress and lines of a log
-- KEYS    leases held job:*
-- ARGV    now incarnation items...
-- REPLY   ok <ids that are not this worker's any more>... | fenced
-- REPLAY  a run numbers what it says: what was taken in before is passed over, and nothing is written
-- WHY     (job, claim) must match what is held, or nothing of that job is touched. The notes stand in
--         the job's own record, not in keys of their own: so none can outlive its job, and whoever
--         removes a record need not know of them. Their fields begin with '~': a claim hands over
--         that they are there, and not what is in them.
--         items... is for each job: id claim version progress first n, then n lines. `version` grows
--         with each call about one run; progress is JSON, or '' for nothing new; `first` is the
--         number of the first of these lines among all of the run. A line is JSON and ends with a
--         newline. The log keeps its last thousand lines, in 64 KiB, and counts what it dropped.
open_the_door(leases)
local score = redis.call('ZSCORE', leases, incarnation)
if not score or tonumber(score) == 0 then return { 'fenced' } end
local wrong = expect(held, 'hash')
if wrong then return wrong end
local MAX_LINES, MAX_BYTES = 1000, 65536

-- Drop the oldest lines of what is too long; give the rest, and how many lines went.
local function shorten(log, lines)
  local cut, dropped = 0, 0
  while lines - dropped > MAX_LINES and cut do
    cut = string.find(log, '\n', cut + 1, true)
    dropped = dropped + 1
  end
  if cut and #log - cut > MAX_BYTES then
    local at = string.find(log, '\n', #log - MAX_BYTES, true) or #log
    local _, more = string.gsub(string.sub(log, cut + 1, at), '\n', '')
    cut, dropped = at, dropped + more
  end
  return string.sub(log, (cut or #log) + 1), dropped
end

local function note(key, claim, version, progress, first, at, n)
  local noted = redis.call('HGET', key, '~noted') or ''
  local of, last, taken, kept, lost = string.match(noted, '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  kept, lost = whole(kept, 0), whole(lost, 0)
  last, taken = of == claim and whole(last, 0) or 0, of == claim and whole(taken, 0) or 0
  local lines, fields = {}, {}
  for i = math.max(0, taken - first), n - 1 do
    lines[#lines + 1] = ARGV[at + i]
  end
  if progress ~= '' and version > last then fields = { '~progress', progress } end
  if #lines == 0 and #fields == 0 then return end
  if #lines > 0 then
    local log = (redis.call('HGET', key, '~log') or '') .. table.concat(lines)
    local rest, dropped = shorten(log, kept + #lines)
    -- What the run itself had to drop before it came here counts too.
    lost = lost + dropped + math.max(0, first - taken)
    kept, taken = kept + #lines - dropped, first + n
    fields[#fields + 1] = '~log'
    fields[#fields + 1] = rest
  end
  noted = string.format('%s %d %d %d %d', claim, math.max(version, last), taken, kept, lost)
  redis.call('HSET', key, '~noted', noted, 'more', '1', unpack(fields))
end

local gone, k = {}, items_at
while ARGV[k] do
  local id, claim, n = ARGV[k], ARGV[k + 1], tonumber(ARGV[k + 5])
  local key = job_prefix .. id
  if redis.call('HGET', held, id) == claim and redis.call('TYPE', key).ok == 'hash' then
    note(key, claim, tonumber(ARGV[k + 2]), ARGV[k + 3], tonumber(ARGV[k + 4]), k + 6, n)
  else
    gone[#gone + 1] = id
  end
  k = k + 6 + n
end
return { 'ok', unpack(gone) }
