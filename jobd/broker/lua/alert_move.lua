-- alert_move: a rule's state -> its next one, and what is told of it into the outbox
-- KEYS    alert_states alert_mutes alert_due alert_notes alert_order alert_tries alert_line:* alert_counts alert_history
-- ARGV    now rule before after id document changes sinks...
-- WITH    alert_outbox alert_history
-- REPLY   moved <deliveries of the oldest that were dropped for it> | stale | muted
-- REPLAY  the state is not `before` any more: a repeat is `stale`
-- WHY     A compare-and-set of the whole state: of any number of hosts that evaluate a rule at once one
--         moves it, and its notification is made in the same step, so a transition is told once and none
--         is lost with whoever dies. id '' tells nothing, after '' forgets the rule, sinks... are
--         names. A mute that was set since the evaluator looked holds from here on: it must look again.
--         `changes` are entries of the history, one a line, made in the same step: so a transition is one
--         entry. Works at maxmemory: what has to be told then matters most.
open_the_door(alert_due)
local box = { alert_due, alert_notes, alert_order, alert_tries, alert_line_prefix, alert_counts }
local wrong = expect(alert_states, 'hash') or expect(alert_mutes, 'hash') or wrong_box(box)
if wrong then return wrong end
local at = clock(now)
if (redis.call('HGET', alert_states, rule) or '') ~= before then return { 'stale' } end
if id ~= '' and whole(redis.call('HGET', alert_mutes, rule), 0) > at then return { 'muted' } end
if after == '' then
  redis.call('HDEL', alert_states, rule)
else
  redis.call('HSET', alert_states, rule, after)
end
for entry in string.gmatch(changes, '[^\n]+') do record(alert_history, entry, at) end
if id == '' then return { 'moved', 0 } end
local sinks = {}
for i = sinks_at, #ARGV do sinks[#sinks + 1] = ARGV[i] end
return { 'moved', hand_over(box, id, rule, document, sinks, at) or 0 }
