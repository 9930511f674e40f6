-- schedule_fire: - -> waiting; the job whose place it takes -> cancelled
-- KEYS    schedules waiting delayed completed dead cancelled expiring awaited tally meta wake_list recent:* unique:* schedule:* job:*
-- ARGV    now name slot version next missed slots...
-- REPLY   fired <added> | moved | changed | undeclared | early
-- WITH    locks
-- REPLAY  the slot was passed by the first call: a repeat is `moved`
-- WHY     The firing of a slot is a compare-and-set: whoever finds the schedule still at `slot` adds
--         the jobs and moves it on, in one step. So any number of hosts may try, none leads, and a
--         crash before or after leaves a slot unfired or fired. slots... are a job id and a slot
--         each; none may be later than now, for the clock may have been set back since the look.
--         Nothing fires that no host has declared for ten minutes: whether the next one still does is
--         known when it has. A slot whose job asks for a lock that is held passes without one, and its
--         holder is named in its place. Like adding, Redis may refuse this at maxmemory; the slots stay due.
local key = schedule_prefix .. name
for _, line in ipairs({ schedules, waiting, delayed, completed, dead, cancelled, expiring, awaited }) do
  local wrong = expect(line, 'zset')
  if wrong then return wrong end
end
local wrong = expect(key, 'hash') or expect(meta, 'hash') or expect(tally, 'hash')
if wrong then return wrong end
local at = clock(now)
local score = redis.call('ZSCORE', schedules, name)
if not score or tonumber(score) ~= tonumber(slot) then return { 'moved' } end
local known = redis.call('HMGET', key, 'version', 'origin', 'declared_at', 'task', 'args', 'priority', 'options', 'expires', 'lock')
if known[1] ~= version then return { 'changed' } end
if not is_declared(known[2], known[3], at) then return { 'undeclared' } end
if tonumber(slot) > at then return { 'early' } end
local jobs = {}
for i = slots_at, #ARGV, 2 do
  if tonumber(ARGV[i + 1]) > at then return { 'early' } end
  local id = ARGV[i]
  -- Decided on already, before Redis was set back to an older state.
  if redis.call('EXISTS', job_prefix .. id) == 0 and not is_remembered(recent_prefix, at, id) then jobs[#jobs + 1] = id end
end
local priority, options, expires, lock = whole(known[6], 5), known[7] or '', whole(known[8], 0), known[9] or ''
local seq, added, last = whole(redis.call('HGET', meta, 'seq'), 0), 0, ARGV[#ARGV - 1]
if #jobs > 0 then redis.call('HSET', meta, 'seq', int(seq)) end -- refused at maxmemory, before all else
for _, id in ipairs(jobs) do
  local free, holder, state = ask_for(lock, at, unique_prefix, job_prefix, waiting, delayed, completed, dead, cancelled)
  last = free and id or holder
  if free then
    local place = holder and make_way(holder, state, id, at, unique_prefix, job_prefix, waiting, delayed, cancelled, expiring, awaited, tally)
    if not place then
      seq = seq + 1
      place = seq
    end
    local until_ms = expires > 0 and at + expires or nil
    redis.call('HSET', job_prefix .. id, unpack(record_of(known[4] or '?', known[5] or '{}', int(priority), options, at, at, place, until_ms)))
    lock_up(lock, at, unique_prefix, job_prefix .. id, id)
    redis.call('ZADD', waiting, int(priority * PRIORITY_SPAN + place), id)
    added = added + 1
  end
end
if added > 0 then redis.call('HSET', meta, 'seq', int(seq)) end
redis.call('ZADD', schedules, next, name)
redis.call('HSET', key, 'decided', int(math.min(at, tonumber(next) - 1)))
if #ARGV >= slots_at then redis.call('HSET', key, 'last_slot', ARGV[#ARGV], 'last_job', last, 'last_at', int(at)) end
add_up(key, 'fired', added)
if missed ~= '0' then add_up(key, 'missed_slots', missed) end
if added > 0 then wake(wake_list) end
return { 'fired', int(added) }
