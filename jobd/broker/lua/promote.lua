-- promote: delayed -> waiting
-- KEYS    leases delayed waiting meta wake_list job:*
-- ARGV    now limit
-- REPLY   ok <moved> <next due, or ''>
-- REPLAY  a promoted job is no longer delayed: a repeat moves what came due since
-- WHY     Claims promote on their own; the keeper calls this for queues whose workers are all
--         busy, so that what is due is seen to be waiting.
open_the_door(leases)
local wrong = expect(waiting, 'zset') or expect(delayed, 'zset') or expect(meta, 'hash') or expect(wake_list, 'list')
if wrong then return wrong end
local moved = promote(delayed, waiting, meta, job_prefix, clock(now), tonumber(limit))
if moved > 0 then wake(wake_list) end
return { 'ok', int(moved), next_due(delayed) }
