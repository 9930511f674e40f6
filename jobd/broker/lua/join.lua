-- join: a worker incarnation takes its lease
-- KEYS    leases terms meta
-- ARGV    now incarnation lease_ms retention...
-- REPLY   ok | fenced
-- REPLAY  the same lease again, renewed
-- WHY     A worker joins before its first claim, so that what it claims always has an owner that
--         somebody watches. A closed lease (score 0) is never opened again. retention... is empty,
--         or (name value) pairs for meta: only who has the code knows what it says, and whoever
--         trims the queue goes by the worker that joined last.
open_the_door(leases)
local wrong = expect(terms, 'hash') or expect(meta, 'hash')
if wrong then return wrong end
local score = redis.call('ZSCORE', leases, incarnation)
if score and tonumber(score) == 0 then return { 'fenced' } end
if ARGV[retention_at] then redis.call('HSET', meta, unpack(ARGV, retention_at)) end
redis.call('HSET', terms, incarnation, lease_ms)
redis.call('ZADD', leases, int(clock(now) + tonumber(lease_ms)), incarnation)
return { 'ok' }
