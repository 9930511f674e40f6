-- What rules went through: so many entries, the newest first, each "at, ms" and a document.

local MOST_CHANGES = 300 -- as KEPT in jobd.core.alerts.history

-- Add one. What a stranger put in its place goes: no alert waits for its own history.
local function record(history, entry, at)
  if expect(history, 'list') then redis.call('UNLINK', history) end
  redis.call('LPUSH', history, int(at) .. ' ' .. entry)
  redis.call('LTRIM', history, 0, MOST_CHANGES - 1)
end
