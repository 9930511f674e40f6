-- page: a stretch of a container, in its order, with what is recorded of each job there
-- KEYS    container job:*
-- ARGV    way score id limit cut fields...
-- REPLY   <jobs in the container>, then for each: { id, score, { the value of each field } }
-- REPLAY  reads only
-- WHY     A list that people leaf through while jobs come and go. It goes on behind a place - a score
--         and an id - and not behind a number of jobs, so what stands still is met once, whatever
--         comes before it or leaves. The place need not be taken any more: many jobs may share one
--         score, and then it is looked for by halves among them, in one step with the reading.
--         way is `up` or `down`; without a score it begins at the end that comes first. A value that
--         is longer than `cut` bytes is cut; a record that is none has no values. Without fields no
--         record is looked at.
local wrong = expect(container, 'zset')
if wrong then return wrong end
limit, cut = tonumber(limit), tonumber(cut)

-- As Redis orders ids of one score. Lua's own comparison asks the server's locale.
local function is_before(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- How many stand before the place, and whether somebody stands there.
local function before()
  local found = redis.call('ZSCORE', container, id)
  if found and tonumber(found) == tonumber(score) then return redis.call('ZRANK', container, id), 1 end
  local low = redis.call('ZCOUNT', container, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', container, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if is_before(redis.call('ZRANGE', container, middle, middle)[1], id) then
      low = middle + 1
    else
      high = middle
    end
  end
  return low, 0
end

local size, first = redis.call('ZCARD', container), 0
if score ~= '' then
  local passed, here = before()
  first = way == 'up' and passed + here or size - passed
end
local line = way == 'up' and redis.call('ZRANGE', container, first, first + limit - 1, 'WITHSCORES')
  or redis.call('ZREVRANGE', container, first, first + limit - 1, 'WITHSCORES')
local told = { size }
for i = 1, #line, 2 do
  local record = ARGV[fields_at] and redis.pcall('HMGET', job_prefix .. line[i], unpack(ARGV, fields_at)) or {}
  if record.err then record = {} end
  for k = 1, #ARGV - fields_at + 1 do
    local value = record[k]
    record[k] = value and #value > cut and string.sub(value, 1, cut) or value or false
  end
  told[#told + 1] = { line[i], line[i + 1], record }
end
return told
