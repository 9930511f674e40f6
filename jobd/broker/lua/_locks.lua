-- Who holds a lock, and who gets it. For scripts WITH locks: those that bring a job to life, or
-- back in line.
--
-- A lock is a key that names a job, and a mark in that job's record: `unique`, "<until> <digest>". Both
-- must say so, and the job must be where the lock holds: waiting or delayed, and of a lock that holds
-- until the job has finished, active. What ends a job takes its key away (`unlock`, in the prelude); a
-- key that stayed, for whatever reason, holds nothing. Only a `ttl` goes by time alone.

-- Who holds a lock, and where that job is. The job it names, while the record of that job says so
-- and the job is where the lock holds: so no lock outlives its job, whatever became of either. Of a
-- `ttl` the time decides. What cannot be read is no lock.
local function holder_of(unique_prefix, digest, at, job_prefix, waiting, delayed, completed, dead, cancelled)
  local said = redis.pcall('GET', unique_prefix .. digest)
  local id, ends = string.match(type(said) == 'string' and said or '', '^(%S+) ?(%d*)$')
  if not id then return nil end
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if ends ~= '' then
    if whole(ends, 0) > at then return id, state end
    return nil
  end
  local hold, of = lock_of(key)
  if of ~= digest then return nil end
  if state == 'waiting' or state == 'delayed' or state == 'active' and hold == 'finished' then return id, state end
end

-- Ask for a lock, as the producer spelled it (add_once.lua). Whether the job may come; and the holder
-- with its state, where one makes way for it or, if it may not, stands in it.
local function ask_for(lock, at, unique_prefix, job_prefix, waiting, delayed, completed, dead, cancelled)
  local digest, rest = string.match(lock, '^%a+ (%x+) ?(%w*)$')
  if not digest then return true end
  local holder, state = holder_of(unique_prefix, digest, at, job_prefix, waiting, delayed, completed, dead, cancelled)
  if not holder then return true end
  local waits = (state == 'waiting' or state == 'delayed') and lock_of(job_prefix .. holder)
  return rest == 'replace' and waits, holder, state
end

-- End a holder that waits, for its successor. Give its place in line, where it stood in one.
-- A row of adds may be long, and nobody wants all of it back: its records go after ten minutes.
local function make_way(holder, state, successor, at, unique_prefix, job_prefix, waiting, delayed, cancelled, expiring, awaited, tally)
  local key = job_prefix .. holder
  local place = state == 'waiting' and whole(redis.call('HGET', key, 'seq')) or nil
  redis.call('ZREM', state == 'waiting' and waiting or delayed, holder)
  chronicle(key, '{"kind":"replaced","at":' .. int(at) .. ',"by":"' .. successor .. '"}')
  end_cancelled(cancelled, awaited, unique_prefix, key, holder, at)
  count_of_task(tally, 'cancelled', key)
  retain(expiring, key, holder, at + 600000)
  return place
end

-- Give a job the lock that it may have.
local function lock_up(lock, at, unique_prefix, key, id)
  local hold, digest, rest = string.match(lock, '^(%a+) (%x+) ?(%w*)$')
  if not digest then return end
  redis.call('HSET', key, 'unique', hold .. ' ' .. digest, 'more', '1')
  if hold == 'ttl' then
    -- The time in the value decides; Redis' own only sees to it that nothing stays for ever.
    redis.call('SET', unique_prefix .. digest, id .. ' ' .. int(at + rest), 'PX', int(rest + 60000))
  else
    redis.call('SET', unique_prefix .. digest, id)
  end
end

-- Let a job that is back in line hold its lock again, unless another has it: one that began and let go
-- of `started` meanwhile, and may have ended, has taken the key away.
local function hold_again(unique_prefix, id, at, job_prefix, waiting, delayed, completed, dead, cancelled)
  local hold, digest = lock_of(job_prefix .. id)
  if not digest or hold == 'ttl' then return end
  if not holder_of(unique_prefix, digest, at, job_prefix, waiting, delayed, completed, dead, cancelled) then
    redis.call('SET', unique_prefix .. digest, id)
  end
end

-- Put claimed jobs back to the places where they stood. One that somebody cancelled while it ran
-- ends instead: it never runs again. `now` is as it was given; it is seldom needed.
local function put_back(waiting, held, delayed, completed, dead, cancelled, awaited, tally, unique_prefix, job_prefix, ids, now)
  local places, locked = {}, {}
  for _, id in ipairs(ids) do
    local place, asked, lock = place_of(job_prefix .. id)
    if asked then
      end_cancelled(cancelled, awaited, unique_prefix, job_prefix .. id, id, clock(now))
      count_of_task(tally, 'cancelled', job_prefix .. id)
    else
      places[#places + 1] = place
      places[#places + 1] = id
      if lock then locked[#locked + 1] = id end
    end
  end
  if #places > 0 then redis.call('ZADD', waiting, unpack(places)) end
  redis.call('HDEL', held, unpack(ids))
  for _, id in ipairs(locked) do
    hold_again(unique_prefix, id, clock(now), job_prefix, waiting, delayed, completed, dead, cancelled)
  end
end
