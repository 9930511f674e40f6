-- operation_stop: somebody wants an operation on many jobs to end
-- KEYS    web_operations web_operation_stops
-- ARGV    now id keep_ms
-- REPLY   <1: it is remembered, or 0>
-- REPLAY  asks again; it was asked already
-- WHY     Who carries it out sees this with its next word. Of one that has ended nothing is kept.
local wrong = expect(web_operations, 'hash') or expect(web_operation_stops, 'zset')
if wrong then return wrong end
open_the_door(web_operation_stops)
local said = redis.call('HGET', web_operations, id)
if not said then return { '0' } end
if string.match(said, '^%d+ r ') then
  redis.call('ZADD', web_operation_stops, int(clock(now)), id)
  redis.call('PEXPIRE', web_operation_stops, keep_ms)
end
return { '1' }
