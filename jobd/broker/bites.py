"""How much one script call may do. Redis serves one command at a time, so each is to hold it for two or
three milliseconds at most, also on a slow machine; what is more goes in several calls, of one round
trip where nobody has to see the answers in between.
"""

from __future__ import annotations

# Claimed at once; a job takes some 4 us, one that was delayed 10.
MAX_BATCH = 256
MAX_BATCH_BYTES = 1024 * 1024
# Taken back from the dead at once: 4 to 15 us each.
BITE = 256
# The same where each has a line written into its history, of 64 KiB at worst: then 500 us.
BLAME_BITE = 16
# Dead workers whose calls go together, the jobs that are given back by these calls, and those of them
# that are charged: a server carries out what came together without serving others in between.
RELEASE_CALLS = 32
RELEASE_JOBS = 2 * BITE
RELEASE_BLAMES = 4 * BLAME_BITE
# Ids in one call of an operator's verb: 10 to 20 us each.
SMALL_BITE = 50
MAX_ORDERS = 500
# Jobs in one call that adds many: 4 us each; delayed ones, or with ids of the caller's, 10 us.
ADD_BITE = 250
# The same where some ask for locks, or to run again: 15 to 25 us each.
ADD_ONCE_BITE = 100
# Bytes of arguments that end a round trip of adding, so at the least a call: 2 to 10 us per KiB. A slow
# link, 2 Mbit/s, carries them within a time-out of 2 s.
ADD_BYTES = 256 * 1024
# Plain completions in one settle: 4 us each, some 10 with a result.
DONE_BITE = 512
# What one call, and all calls of one round trip, bring of results, errors and notes: at 3 Mbit/s it is
# there within the patience of a worker's link (3 s). One job's may be more, and goes alone.
SETTLE_BYTES = 1024 * 1024
# Other endings than plain completion in one settle: a death with its history takes 20 us.
ENDINGS_BITE = 100
# Jobs in one call of the keeper's own. How many it trims follows from how long that takes.
PROMOTE_BITE = 256
TRIM_BITE = 256
