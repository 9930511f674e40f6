-- The rate limit: a log of the claims in a sliding window, in the hash `rate`. For scripts WITH rate.
--
-- The log is exact: a claim counts from its instant until the window has passed, so no window of any
-- position holds more than rate_max. It is bounded all the same: claims of one thousandth of the
-- window are one entry, which counts from its end, so late and never early. Fields: a bucket's
-- number -> its claims; width (ms of a bucket), first and last (buckets), used (sum), gone (how many
-- have left the window so far), told (up to which of those somebody was told to come), next (us).
--
-- A worker that asks a little ahead gets its job with the instant at which it may start, and that is
-- what the log says: how late workers wake up, and how long the way is, costs no part of the rate.

-- What is counted are claims, what has to obey are starts: a window is longer by this than it was
-- said to be, and a job that could not start within it goes back. Half of a hundredth, 20 ms at most.
local function rate_guard(rate_ms)
  return math.max(1, math.min(20, math.floor(rate_ms / 200)))
end

-- Give the counts of some buckets in a row.
local function rate_counts(rate, from, to)
  local fields = {}
  for bucket = from, to do
    fields[#fields + 1] = int(bucket)
  end
  return fields, redis.call('HMGET', rate, unpack(fields))
end

-- Read the log as it is at this instant; what has left the window is dropped.
local function rate_open(rate, rate_ms, at)
  local width = math.max(1, math.floor(rate_ms / 1000))
  local row = redis.call('HMGET', rate, 'width', 'first', 'last', 'used', 'gone', 'told', 'next')
  local bucket = math.floor(at / width)
  local log = {
    width = width, span = rate_ms + rate_guard(rate_ms), bucket = bucket,
    first = whole(row[2], bucket), last = whole(row[3], bucket), used = math.max(0, whole(row[4], 0)),
    gone = whole(row[5], 0), told = whole(row[6], 0), next_us = whole(row[7], 0),
  }
  -- After another window was set, or the store's clock was set back, all that is known is that these
  -- claims were made before now: they count from now on. A second ahead is none: see above.
  local most = (log.span + 2000) / width + 10 -- so many buckets in a row; a longer row is none that was written here
  if log.used > 0 and (whole(row[1], 0) ~= width or log.last * width > at + 1000 or log.last - log.first > most) then
    redis.call('DEL', rate)
    redis.call('HSET', rate, 'width', int(width), 'first', int(bucket), 'last', int(bucket), 'used', int(log.used), int(bucket), int(log.used))
    log.first, log.last, log.gone, log.told, log.next_us = bucket, bucket, 0, 0, 0
  end
  local past = math.floor((at - log.span) / width) - 1
  if log.used == 0 or log.last <= past then
    redis.call('DEL', rate)
    log.first, log.last, log.used, log.gone, log.told, log.next_us = bucket, bucket, 0, 0, 0, 0
  elseif log.first <= past then
    local dropped = 0
    for from = log.first, past, 500 do
      local fields, counts = rate_counts(rate, from, math.min(past, from + 499))
      for _, n in ipairs(counts) do
        dropped = dropped + whole(n or nil, 0)
      end
      redis.call('HDEL', rate, unpack(fields))
    end
    log.first, log.used, log.gone = past + 1, math.max(0, log.used - dropped), log.gone + dropped
    redis.call('HSET', rate, 'first', int(log.first), 'used', int(log.used), 'gone', int(log.gone))
  end
  return log
end

-- Say when the n-th of the claims in the log leaves the window.
local function rate_leaves(rate, log, n)
  for from = log.first, log.last, 100 do
    local fields, counts = rate_counts(rate, from, math.min(log.last, from + 99))
    for i, count in ipairs(counts) do
      n = n - whole(count or nil, 0)
      if n <= 0 then return (tonumber(fields[i]) + 1) * log.width + log.span end
    end
  end
  return log.bucket * log.width + log.span
end

-- A rate that is more than half used is used up at double the rate, not at once: otherwise a burst would
-- come back with each window, faster than workers can begin it, and what they are late is lost. Slow
-- rates need no such thing. Gives the us from one start to the next, 0 for none.
local function rate_pace(rate_max, rate_ms)
  local us = math.floor(rate_ms * 500 / rate_max)
  return us <= 10000 and us or 0
end

-- Say when the next job may start: at this instant, or later.
local function rate_opens(rate, log, rate_max, rate_ms, at)
  local opens = at
  if log.used >= rate_max then opens = math.max(at, rate_leaves(rate, log, log.used - rate_max + 1)) end
  if log.used * 2 >= rate_max and rate_pace(rate_max, rate_ms) > 0 then
    opens = math.max(opens, math.min(math.ceil(log.next_us / 1000), at + 1000))
  end
  return opens
end

-- Say for when to come, to each that asks another of the claims that are to leave the window: one call
-- finds one free, and not all that wait. Nobody is told of what is more than two seconds away, for
-- nobody sleeps so long without looking.
local function rate_ticket(rate, log, rate_max, at)
  local first = log.gone + log.used - rate_max + 1
  local mine = math.max(log.told + 1, first)
  if mine > log.gone + log.used then mine = first end
  local opens = rate_leaves(rate, log, mine - log.gone)
  if opens <= at + 2000 then redis.call('HSET', rate, 'told', int(mine)) end
  return opens
end

-- The instant that a claim's number tells, by which it is counted: when its jobs may start, or a little
-- later where a number before was given further ahead. Later is safe.
local function rate_instant(claim)
  return math.floor(tonumber(claim) / 1024)
end

-- Count claims of jobs that may start at this instant. A number far ahead is of a clock set back.
local function rate_count(rate, log, rate_max, rate_ms, start_at, claim, n)
  local told = rate_instant(claim)
  local bucket = math.floor((told > start_at + 1000 and start_at or told) / log.width)
  local pace, paced = rate_pace(rate_max, rate_ms), log.used * 2 < rate_max and 1 or n
  log.last, log.used = math.max(log.last, bucket), log.used + n
  redis.call('HINCRBY', rate, int(bucket), n)
  redis.call('HSET', rate, 'width', int(log.width), 'first', int(log.first), 'last', int(log.last), 'used', int(log.used))
  if pace > 0 then
    log.next_us = math.max(log.next_us, start_at * 1000) + paced * pace
    redis.call('HSET', rate, 'next', int(log.next_us))
  end
end

-- Take the claim of a job out of the log that was handed back and never started.
local function rate_return(rate, claim)
  local row = redis.pcall('HMGET', rate, 'width', 'used')
  local width, used = whole(row[1] or nil, 0), whole(row[2] or nil, 0)
  if row.err or width < 1 or used < 1 then return end
  local bucket = int(math.floor(rate_instant(claim) / width))
  if whole(redis.call('HGET', rate, bucket) or nil, 0) < 1 then return end
  redis.call('HINCRBY', rate, bucket, -1)
  redis.call('HSET', rate, 'used', int(used - 1))
end
