-- owner: whether a job's record, or what a worker holds, belongs to anything
-- KEYS    waiting delayed completed dead cancelled leases held:* job:*
-- ARGV    now kind id
-- REPLY   owned | gone | ownerless
-- REPLAY  reads only
-- WHY     For people who look for what a bug or a stranger has left. One script, since a job that moves
--         while it is looked for in one place after another may be found in none of them.
if kind == 'held' then
  if redis.call('EXISTS', held_prefix .. id) == 0 then return { 'gone' } end
  return { type(redis.pcall('ZSCORE', leases, id)) == 'string' and 'owned' or 'ownerless' }
end
if redis.call('EXISTS', job_prefix .. id) == 0 then return { 'gone' } end
for _, container in ipairs({ waiting, delayed, completed, dead, cancelled }) do
  if type(redis.pcall('ZSCORE', container, id)) == 'string' then return { 'owned' } end
end
local workers = redis.pcall('ZRANGE', leases, 0, -1)
for _, worker in ipairs(workers.err and {} or workers) do
  if redis.pcall('HEXISTS', held_prefix .. worker, id) == 1 then return { 'owned' } end
end
return { 'ownerless' }
