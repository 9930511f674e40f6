-- web_secret: what tokens against forgery are made with
-- KEYS    web_secret
-- ARGV    candidate
-- REPLY   <the secret>
-- REPLAY  the first candidate stays
-- WHY     Made once for all processes, so that the page that one of them gave acts through another.
redis.call('SET', web_secret, candidate, 'NX')
return { redis.call('GET', web_secret) }
