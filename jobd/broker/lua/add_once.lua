-- add_once: - -> waiting | delayed; the job whose place it takes -> cancelled
-- KEYS    waiting delayed completed dead cancelled expiring awaited tally meta wake_list recent:* unique:* job:*
-- ARGV    now only_known jobs...
-- REPLY   added | replaced | duplicate | held <id>, a word a job; the error JOBDUNKNOWN
-- WITH    locks
-- REPLAY  an id that is recorded, or finished within the last 60 s, is answered `duplicate`, whether
--         it holds its lock still or not; a nonce that began an ended job anew does so once
-- WHY     Adding for jobs that ask for more: a lock, or to begin an ended job of the same id anew.
--         Whether a lock is held, and who is added, is one decision: of a thousand programs that
--         add at once one finds it free. The others are told who holds it.
--         only_known is as in `add`. jobs... is, for each: id task args priority due options nonce
--         lock, the first six as in `add`, whose jobs may come along. nonce is '' or names this call: then an ended job of this
--         id begins anew, as another record. lock is '' or `<until> <digest> <rest>`: rest is, of a
--         `ttl`, for how many ms it holds from now; of the others `replace`, when a holder that
--         waits, also for a retry, shall make way: it ends as cancelled, its history says for whom,
--         and where both are due the new one takes its place in line, so that no stream of them
--         starves the work.
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled, expiring, awaited }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local at, words, added, begun = clock(now), {}, false, false
local wrong = expect(meta, 'hash') or expect(tally, 'hash') or expect(wake_list, 'list') or expect(window(recent_prefix, at, 0), 'set')
if wrong then return wrong end
local containers = { completed = completed, dead = dead, cancelled = cancelled }
local last = redis.call('HGET', meta, 'seq')
if only_known ~= '' and not last then return redis.error_reply('JOBDUNKNOWN ' .. meta) end
local seq = whole(last, 0)

-- The first write of all needs memory: at maxmemory it is refused, and nothing has happened.
local function begin()
  if not begun then redis.call('HSET', meta, 'seq', int(seq)) end
  begun = true
end

-- Whether an id may be added, and where its ended record is that makes way, if one does.
local function may_begin(id, key, nonce)
  local recorded = redis.call('EXISTS', key) == 1
  if not recorded and not is_remembered(recent_prefix, at, id) then return true end
  if nonce == '' or is_remembered(recent_prefix, at, id .. ' ' .. nonce) then return false end
  if not recorded then return true end
  local container = containers[state_of(id, key, waiting, delayed, completed, dead, cancelled)]
  return container and redis.pcall('HGET', key, 'nonce') ~= nonce, container
end

local function add_one(id, task, args, priority, due, options, nonce, lock)
  local key = job_prefix .. id
  local may, ended = may_begin(id, key, nonce)
  if not may then return 'duplicate' end
  local free, holder, state = ask_for(lock, at, unique_prefix, job_prefix, waiting, delayed, completed, dead, cancelled)
  if not free then return 'held ' .. holder end
  begin()
  local place = holder and make_way(holder, state, id, at, unique_prefix, job_prefix, waiting, delayed, cancelled, expiring, awaited, tally)
  if ended then
    redis.call('ZREM', ended, id)
    redis.call('ZREM', expiring, id)
    redis.call('UNLINK', key)
  end
  local due_at, expires = times(due, at)
  if due_at <= at and not place then
    seq = seq + 1
    place = seq
  end
  local fields = record_of(task, args, priority, options, at, due_at, place, expires)
  redis.call('HSET', key, unpack(fields))
  lock_up(lock, at, unique_prefix, key, id)
  if nonce ~= '' then
    redis.call('HSET', key, 'nonce', nonce)
    remember(recent_prefix, at, { id .. ' ' .. nonce })
  end
  if due_at > at then
    redis.call('ZADD', delayed, int(due_at), id)
  else
    redis.call('ZADD', waiting, int(tonumber(priority) * PRIORITY_SPAN + place), id)
  end
  added = true
  return (holder or ended) and 'replaced' or 'added'
end

for k = jobs_at, #ARGV, 8 do
  words[#words + 1] = add_one(unpack(ARGV, k, k + 7))
end
if added then
  redis.call('HSET', meta, 'seq', int(seq))
  wake(wake_list)
end
return words
