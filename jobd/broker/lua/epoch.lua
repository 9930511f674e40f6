-- epoch: the store says which life it lives
-- KEYS    epoch format
-- ARGV    now candidate wanted_format
-- REPLY   ok <epoch> <format>
-- REPLAY  the first candidate stays
-- WHY     A random name made once. A store that was flushed or replaced has another, and that is
--         how workers and keepers learn that what they knew is gone.
redis.call('SETNX', format, wanted_format)
redis.call('SETNX', epoch, candidate)
return { 'ok', redis.call('GET', epoch), redis.call('GET', format) }
