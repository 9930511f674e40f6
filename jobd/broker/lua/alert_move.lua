-- alert_move: a rule's state -> its next one, and what is told of it into the outbox
-- KEYS    states mutes notes due tries facts
-- ARGV    now rule before after note_id note most sinks...
-- REPLY   moved <now> | stale | muted
-- REPLAY  the state is not `before` any more: a repeat is `stale`
-- WHY     A compare-and-set of the whole state: of any number of hosts that evaluate a rule at once one
--         moves it, and its notification is made in the same step, so a transition is told once and none
--         is lost with whoever dies. note_id '' tells nothing, after '' forgets the rule, sinks... are
--         names. A mute that was set since the evaluator looked holds from here on: it must look again.
--         Of more than `most` notes the oldest go, by their ids, which begin with their time, and are
--         counted. Works at maxmemory: what has to be told then matters most.
open_the_door(due)
for _, check in ipairs({ { states, 'hash' }, { mutes, 'hash' }, { notes, 'hash' }, { tries, 'hash' }, { facts, 'hash' } }) do
  local wrong = expect(check[1], check[2])
  if wrong then return wrong end
end
local at = int(clock(now))
if (redis.call('HGET', states, rule) or '') ~= before then return { 'stale' } end
if note_id ~= '' and whole(redis.call('HGET', mutes, rule), 0) > tonumber(at) then return { 'muted' } end
if after == '' then
  redis.call('HDEL', states, rule)
else
  redis.call('HSET', states, rule, after)
end
if note_id == '' or not ARGV[sinks_at] then return { 'moved', at } end
redis.call('HSET', notes, note_id, note)
for i = sinks_at, #ARGV do
  redis.call('ZADD', due, at, note_id .. ' ' .. ARGV[i])
end
local excess = redis.call('HLEN', notes) - tonumber(most)
if excess > 0 then
  local ids, going = redis.call('HKEYS', notes), {}
  table.sort(ids)
  for i = 1, excess do
    going[ids[i]] = true
    redis.call('HDEL', notes, ids[i])
  end
  for _, member in ipairs(redis.call('ZRANGE', due, 0, -1)) do
    if going[string.match(member, '^%S+')] then
      redis.call('ZREM', due, member)
      redis.call('HDEL', tries, member)
    end
  end
  add_up(facts, 'dropped', excess)
end
return { 'moved', at }
