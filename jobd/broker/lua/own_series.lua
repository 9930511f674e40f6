-- own_series: -
-- KEYS    leases tally
-- ARGV    now most tasks...
-- REPLY   own | other, a word a task
-- REPLAY  what has its own series keeps them: a repeat is answered the same
-- WHY     Metrics must not have a label for whatever was ever added, and a counter must not move from
--         one label to another. So the first `most` tasks of a queue are written down, for ever and for
--         all hosts alike, and the others are counted together. Where it is written down is the tally
--         itself: should that be lost, its counters are too.
open_the_door(leases)
local wrong = expect(tally, 'hash')
if wrong then return wrong end
local taken, words = whole(redis.call('HGET', tally, 'own'), 0), {}
for i = tasks_at, #ARGV do
  local field, word = 'own|' .. ARGV[i], 'own'
  if redis.call('HEXISTS', tally, field) == 0 then
    if taken < tonumber(most) then
      taken = taken + 1
      redis.call('HSET', tally, field, int(taken), 'own', int(taken))
    else
      word = 'other'
    end
  end
  words[#words + 1] = word
end
return words
