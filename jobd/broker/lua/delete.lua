-- delete: completed | dead | cancelled -> -
-- KEYS    leases waiting delayed completed dead cancelled expiring recent:* unique:* job:*
-- ARGV    now ids...
-- REPLY   deleted | waiting | delayed | active | gone, a word an id
-- REPLAY  what was deleted is gone, and answered so
-- WHY     Only what has ended: what may still run is cancelled first, so that nobody deletes work
--         by mistake. The id is remembered for a minute, as retention does it.
open_the_door(leases)
local at, words = clock(now), {}
for _, key in ipairs({ waiting, delayed, completed, dead, cancelled, expiring }) do
  local wrong = expect(key, 'zset')
  if wrong then return wrong end
end
local wrong = expect(window(recent_prefix, at, 0), 'set')
if wrong then return wrong end
local containers = { completed = completed, dead = dead, cancelled = cancelled }
for i = ids_at, #ARGV do
  local id = ARGV[i]
  local key = job_prefix .. id
  local state = state_of(id, key, waiting, delayed, completed, dead, cancelled)
  if containers[state] then
    redis.call('ZREM', containers[state], id)
    redis.call('ZREM', expiring, id)
    unlock(unique_prefix, id, lock_of(key)) -- a `ttl` may still hold: what is deleted by hand never was
    redis.call('UNLINK', key)
    remember(recent_prefix, at, { id })
    state = 'deleted'
  end
  words[#words + 1] = state
end
return words
