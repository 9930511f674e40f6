-- await: somebody waits for the ends of jobs, and learns of those that have ended
-- KEYS    leases awaited waiting delayed completed dead cancelled job:*
-- ARGV    now until_ms ids...
-- REPLY   an answer an id: waits | completed <result> | dead <cause> <error> | cancelled | gone
-- REPLAY  the same entries again
-- WHY     Looking and asking to be told are one step, so no end falls between the two. The script
--         that ends a job publishes only for ids found here, so results that nobody waits for cost
--         one lookup a batch. The entry ends with the wait, not with the waiter.
open_the_door(leases)
for _, key in ipairs({ awaited, waiting, delayed, completed, dead, cancelled }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local until_at, answers = int(clock(now) + tonumber(until_ms)), {}

-- pcall: a record of another type has nothing to tell
local function said(key, field)
  local text = redis.pcall('HGET', key, field)
  return type(text) == 'string' and text
end

for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  local answer = { state }
  if state == 'completed' then
    answer[2] = said(key, 'result')
  elseif state == 'dead' then
    answer[2], answer[3] = said(key, 'cause'), said(key, 'error')
  elseif state == 'waiting' or state == 'delayed' or state == 'active' then
    answer = { 'waits' }
    redis.call('ZADD', awaited, 'GT', until_at, id)
  end
  answers[#answers + 1] = answer
end
return answers
