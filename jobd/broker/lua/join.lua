-- join: a worker incarnation takes its lease
-- KEYS    leases terms meta wake_list
-- ARGV    now incarnation lease_ms settings...
-- REPLY   ok | fenced
-- REPLAY  the same lease again, renewed
-- WHY     A worker joins before its first claim, so that what it claims always has an owner that
--         somebody watches. A closed lease (score 0) is never opened again. settings... is empty, or
--         pairs (field value) of what the queue is to be like, '' for none: only who has the code and
--         the file knows what they say, and whoever trims the queue or claims from it goes by the
--         worker that joined last. A changed limit may let more begin, so somebody looks.
open_the_door(leases)
local wrong = expect(terms, 'hash') or expect(meta, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local score = redis.call('ZSCORE', leases, incarnation)
if score and tonumber(score) == 0 then return { 'fenced' } end
local BOUNDS, rebound = { rate_max = 1, rate_ms = 1, max_active = 1 }, false
for i = settings_at, #ARGV, 2 do
  if (redis.call('HGET', meta, ARGV[i]) or '') ~= ARGV[i + 1] then
    if ARGV[i + 1] == '' then
      redis.call('HDEL', meta, ARGV[i])
    else
      redis.call('HSET', meta, ARGV[i], ARGV[i + 1])
    end
    rebound = rebound or BOUNDS[ARGV[i]]
  end
end
if rebound then wake(wake_list) end
redis.call('HSET', terms, incarnation, lease_ms)
redis.call('ZADD', leases, int(clock(now) + tonumber(lease_ms)), incarnation)
return { 'ok' }
