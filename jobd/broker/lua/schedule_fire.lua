-- schedule_fire: - -> waiting
-- KEYS    schedules waiting meta wake_list recent:* schedule:* job:*
-- ARGV    now name slot version next missed slots...
-- REPLY   fired <added> | moved | changed | undeclared | early
-- REPLAY  the slot was passed by the first call: a repeat is `moved`
-- WHY     The firing of a slot is a compare-and-set: whoever finds the schedule still at `slot` adds
--         the jobs and moves it on, in one step. So any number of hosts may try, none leads, and a
--         crash before or after leaves a slot unfired or fired. slots... are a job id and a slot
--         each; none may be later than now, for the clock may have been set back since the look.
--         Nothing fires that no host has declared for ten minutes: whether the next one still does is
--         known when it has. Like adding, Redis may refuse this at maxmemory; the slots stay due.
local key = schedule_prefix .. name
local wrong = expect(schedules, 'zset') or expect(key, 'hash') or expect(waiting, 'zset') or expect(meta, 'hash')
if wrong then return wrong end
local at = clock(now)
local score = redis.call('ZSCORE', schedules, name)
if not score or tonumber(score) ~= tonumber(slot) then return { 'moved' } end
local known = redis.call('HMGET', key, 'version', 'origin', 'declared_at', 'task', 'args', 'priority', 'options', 'expires')
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
local priority, options, expires = known[6], known[7], whole(known[8], 0)
for _, id in ipairs(jobs) do
  local fields = { 'task', known[4] or '?', 'args', known[5] or '{}', 'at', int(at) }
  if priority and priority ~= '5' then
    fields[#fields + 1], fields[#fields + 2] = 'priority', priority
  end
  if options and options ~= '' then
    fields[#fields + 1], fields[#fields + 2] = 'options', options
  end
  if expires > 0 then
    fields[#fields + 1], fields[#fields + 2] = 'expires', int(at + expires)
  end
  if #fields > 6 then
    fields[#fields + 1], fields[#fields + 2] = 'more', '1'
  end
  redis.call('HSET', job_prefix .. id, unpack(fields))
end
if #jobs > 0 then line_up(waiting, meta, job_prefix, jobs) end
redis.call('ZADD', schedules, next, name)
redis.call('HSET', key, 'decided', int(math.min(at, tonumber(next) - 1)))
if #ARGV >= slots_at then redis.call('HSET', key, 'last_slot', ARGV[#ARGV], 'last_job', ARGV[#ARGV - 1], 'last_at', int(at)) end
add_up(key, 'fired', #jobs)
if missed ~= '0' then add_up(key, 'missed_slots', missed) end
if #jobs > 0 then wake(wake_list) end
return { 'fired', int(#jobs) }
