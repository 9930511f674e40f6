-- renew: the keeper extends the leases of the workers the supervisor says are alive
-- KEYS    leases
-- ARGV    now lease_ms incarnations...
-- REPLY   ok <incarnations without an open lease>...
-- REPLAY  the same leases, a little later
-- WHY     One call a queue, whatever the number of jobs, from a process that runs no user code: so
--         a task that holds the GIL never looks dead. An expired lease that nobody reaped is
--         revived: an outage longer than the lease must not kill a healthy fleet.
open_the_door(leases)
local expiry, reply = int(clock(now) + tonumber(lease_ms)), { 'ok' }
for i = incarnations_at, #ARGV do
  local score = redis.call('ZSCORE', leases, ARGV[i])
  if score and tonumber(score) > 0 then
    redis.call('ZADD', leases, 'XX', expiry, ARGV[i])
  else
    reply[#reply + 1] = ARGV[i]
  end
end
return reply
