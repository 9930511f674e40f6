-- The tasks that are paused, in the hash `off`: task -> score. For scripts WITH paused_tasks.
--
-- A claimed job of such a task is set aside: it goes to `delayed` under its task's score, which is no
-- time. Its record keeps its place in line, and all of them come back to their places, bite by bite,
-- when the task is resumed. Until the last has come back the score is written with a minus: so
-- whoever resumed it may die in between, and any claim goes on with it.

-- Read an entry: the score, and whether its task is being resumed. 0 where there is none to be read.
local function score_of(text)
  local minus, digits = string.match(text or '', '^(%-?)(%d+)$')
  local score = whole(digits, 0)
  return score >= SET_ASIDE and score or 0, minus == '-'
end

-- Bring up to `limit` of one task's jobs back to their places; say how many came, and whether all.
local function bring_back(off, waiting, delayed, meta, job_prefix, task, score, limit)
  local ids = redis.call('ZRANGEBYSCORE', delayed, score, score, 'LIMIT', 0, limit)
  local places = {}
  for i, id in ipairs(ids) do
    places[2 * i - 1], places[2 * i] = place_of(job_prefix .. id), id
  end
  if #ids > 0 then
    redis.call('ZADD', waiting, unpack(places))
    redis.call('ZREM', delayed, unpack(ids))
  end
  local all = #ids < limit
  if all then
    redis.call('HDEL', off, task)
    if redis.call('EXISTS', off) == 0 then redis.call('HDEL', meta, 'off') end
  end
  return #ids, all
end

-- Give task -> score of what is paused; what is being resumed moves on by a bite.
local function paused_tasks(off, waiting, delayed, meta, job_prefix)
  local found, all = {}, redis.call('HGETALL', off)
  for i = 1, #all, 2 do
    local score, is_resuming = score_of(all[i + 1])
    if score == 0 then
      redis.call('HDEL', off, all[i])
    elseif is_resuming then
      bring_back(off, waiting, delayed, meta, job_prefix, all[i], int(score), 250)
    else
      found[all[i]] = int(score)
    end
  end
  return found
end
