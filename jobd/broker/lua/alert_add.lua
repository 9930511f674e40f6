-- alert_add: a notification is to be told to some sinks
-- KEYS    alert_due alert_notes alert_order alert_tries alert_line:* alert_counts
-- ARGV    now id rule document sinks...
-- WITH    alert_outbox
-- REPLY   added <deliveries of the oldest that were dropped for it> | known
-- REPLAY  `known` as long as somebody is still to be told; after that it is told again, under the id that
--         receivers know
-- WHY     For notifications that no transition in Redis makes; those of a rule come in with the move of
--         its state, by the same function. It goes on at maxmemory: that is when people must be told.
open_the_door(alert_due)
local box = { alert_due, alert_notes, alert_order, alert_tries, alert_line_prefix, alert_counts }
local wrong = wrong_box(box)
if wrong then return wrong end
local sinks = {}
for i = sinks_at, #ARGV do sinks[#sinks + 1] = ARGV[i] end
local dropped = hand_over(box, id, rule, document, sinks, clock(now))
if not dropped then return { 'known' } end
return { 'added', dropped }
