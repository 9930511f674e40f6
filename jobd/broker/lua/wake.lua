-- wake: an idle worker looks at the queue
-- KEYS    leases wake_list
-- ARGV    now
-- REPLY   ok
-- REPLAY  one hint more, up to the cap
-- WHY     A token is a hint and never the truth: whoever gets it claims, and may find nothing.
open_the_door(leases)
local wrong = expect(wake_list, 'list')
if wrong then return wrong end
wake(wake_list)
return { 'ok' }
