-- host_ask: a host is asked for something
-- KEYS    orders
-- ARGV    now id document valid_ms kept_ms most
-- REPLY   asked | full
-- REPLAY  the same order, a little longer
-- WHY     An order says itself until when it may be carried out, by the store's clock: what a host finds
--         late it leaves alone. The key's own end is for hosts that never come. At maxmemory too: that is
--         when people look.
local wrong = expect(orders, 'hash')
if wrong then return wrong end
redis.call('HDEL', orders, '')
if redis.call('HLEN', orders) >= tonumber(most) then return { 'full' } end
redis.call('HSET', orders, id, int(clock(now) + tonumber(valid_ms)) .. ' ' .. document)
redis.call('PEXPIRE', orders, kept_ms)
return { 'asked' }
