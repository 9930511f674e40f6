-- host_answer: what came of an order
-- KEYS    answer
-- ARGV    document kept_ms
-- REPLY   ok
-- REPLAY  says it again; whoever waits takes the first
-- WHY     With its end in the same step, for whoever asked may be gone.
redis.call('UNLINK', answer)
redis.call('RPUSH', answer, document)
redis.call('PEXPIRE', answer, kept_ms)
return { 'ok' }
