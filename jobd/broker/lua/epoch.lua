-- epoch: the store says which life it lives
-- KEYS    epoch format
-- ARGV    now candidate wanted_format
-- REPLY   ok <epoch> <format, or what its key is instead of a text>
-- REPLAY  the first candidate stays
-- WHY     A random name made once. A store that was flushed or replaced has another, and that is
--         how workers and keepers learn that what they knew is gone. Where it stands already this
--         writes nothing: a worker must be able to connect at maxmemory too.
local wrong = expect(epoch, 'string')
if wrong then return wrong end
local kind = redis.call('TYPE', format).ok
if kind ~= 'none' and kind ~= 'string' then return { 'ok', redis.call('GET', epoch) or candidate, 'a ' .. kind } end
if redis.call('EXISTS', format) == 0 then redis.call('SET', format, wanted_format) end
if redis.call('EXISTS', epoch) == 0 then redis.call('SET', epoch, candidate) end
return { 'ok', redis.call('GET', epoch), redis.call('GET', format) }
