-- alert_end: a sink was told, or is given up
-- KEYS    alert_due alert_notes alert_order alert_tries alert_line:* alert_counts
-- ARGV    now id sink how
-- WITH    alert_outbox
-- REPLY   ended | gone
-- REPLAY  `gone`: nothing is counted twice
-- WHY     The next of the same rule is due from here on, and no earlier. The note goes with the last
--         sink. A crash right before this call tells the same once more, under the same id.
open_the_door(alert_due)
local box = { alert_due, alert_notes, alert_order, alert_tries, alert_line_prefix, alert_counts }
local wrong = wrong_box(box)
if wrong then return wrong end
if not off_the_line(box, id, sink, rule_of(box, id, sink), clock(now)) then return { 'gone' } end
add_up(alert_counts, how, 1)
return { 'ended' }
