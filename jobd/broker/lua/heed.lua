-- heed: a keeper learns what was ordered about running jobs
-- KEYS    leases orders held:*
-- ARGV    now limit
-- REPLY   ok (<id> <word> <claim> <incarnation>)... of what still holds
-- REPLAY  the same again, as long as the jobs run
-- WHY     Levels, not edges: an order stands as long as its run holds the job, and each keeper looks
--         again and again. What is no longer held by that claim is dropped here, whoever ended it
--         and however: so nothing on the plain path knows of orders. At most `limit` are looked at,
--         by lot where there are more: the next looks find the others.
open_the_door(leases)
local wrong = expect(orders, 'hash')
if wrong then return wrong end
local reply, all = { 'ok' }, redis.call('HRANDFIELD', orders, limit, 'WITHVALUES')
for i = 1, #all, 2 do
  local word, claim, incarnation = string.match(all[i + 1], '^(%a+) (%d+) (.+)$')
  if word and redis.pcall('HGET', held_prefix .. incarnation, all[i]) == claim then
    for _, part in ipairs({ all[i], word, claim, incarnation }) do
      reply[#reply + 1] = part
    end
  else
    redis.call('HDEL', orders, all[i])
  end
end
return reply
