-- What is still to be told, and to whom. Of each sink and rule there is a line of notifications, in the
-- order in which they came about, and only its head is in `due`: so nobody hears that a rule is over
-- before having heard that it fired. `box` is { due, notes, order, tries, line_prefix, counts }.

local MOST_NOTES = 1000 -- beyond these the oldest are dropped, and counted

-- To be asked before the first write: a key of another type is in the way.
local function wrong_box(box)
  return expect(box[1], 'zset') or expect(box[2], 'hash') or expect(box[3], 'zset') or expect(box[4], 'hash') or expect(box[6], 'hash')
end

-- One sink's line of one rule. What a stranger put in its place goes.
local function line_of(box, sink, rule)
  local key = box[5] .. sink .. '\n' .. rule
  if expect(key, 'list') then redis.call('UNLINK', key) end
  return key
end

-- The rule of one that is recorded, by its note; or, where a stranger took that away, by its mark.
local function rule_of(box, id, sink)
  local note = redis.call('HGET', box[2], id)
  if note then return string.match(note, '^([^\n]*)\n') end
  local prefix = id .. ' ' .. sink .. '\n'
  for _, mark in ipairs(redis.call('ZRANGE', box[3], 0, 10000)) do
    if string.sub(mark, 1, #prefix) == prefix then return string.sub(mark, #prefix + 1) end
  end
end

-- One sink need not be told any more: the next of its line is due. False when that was so before.
local function off_the_line(box, id, sink, rule, at)
  local due, notes, order, tries = unpack(box)
  local member = id .. ' ' .. sink
  redis.call('ZREM', due, member)
  redis.call('HDEL', tries, member)
  local mark = rule and member .. '\n' .. rule
  local seq = mark and redis.call('ZSCORE', order, mark)
  if not seq then return false end
  redis.call('ZREM', order, mark)
  local line = line_of(box, sink, rule)
  redis.call('LREM', line, 1, id)
  local head = redis.call('LINDEX', line, 0)
  if head then redis.call('ZADD', due, 'NX', int(at), head .. ' ' .. sink) end
  if redis.call('ZCOUNT', order, seq, seq) == 0 then redis.call('HDEL', notes, id) end
  return true
end

-- Drop the oldest notification, for all who have not been told. Gives how many these were.
local function drop_oldest(box, at)
  local first = redis.call('ZRANGE', box[3], 0, 0, 'WITHSCORES')
  local dropped = 0
  for _, mark in ipairs(first[2] and redis.call('ZRANGEBYSCORE', box[3], first[2], first[2], 'LIMIT', 0, 1000) or {}) do
    local id, sink, rule = string.match(mark, '^(%S+) ([^\n]*)\n(.*)$')
    if id then off_the_line(box, id, sink, rule, at) else redis.call('ZREM', box[3], mark) end
    dropped = dropped + 1
  end
  if dropped > 0 then add_up(box[6], 'dropped', dropped) end
  return dropped
end

-- Take in one notification for some sinks: the only way into the box. Gives false for one that is in
-- there, else how many deliveries of the oldest were dropped for it. Call `wrong_box` before.
local function hand_over(box, id, rule, document, sinks, at)
  local due, notes, order = unpack(box)
  if #sinks == 0 then return 0 end
  if redis.call('HEXISTS', notes, id) == 1 then return false end
  local newest = redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')
  local seq = int(math.max(whole(newest[2], 0) + 1, at * 1024))
  redis.call('HSET', notes, id, rule .. '\n' .. document)
  for _, sink in ipairs(sinks) do
    local member = id .. ' ' .. sink
    redis.call('ZADD', order, seq, member .. '\n' .. rule)
    if redis.call('RPUSH', line_of(box, sink, rule), id) == 1 then redis.call('ZADD', due, int(at), member) end
  end
  local dropped = 0
  for _ = 1, 10 do
    if redis.call('HLEN', notes) <= MOST_NOTES then break end
    dropped = dropped + drop_oldest(box, at)
  end
  return dropped
end
