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
# Ids in one call of an operator's verb: 10 to 20 us each.
SMALL_BITE = 50
MAX_ORDERS = 500
# Jobs in one call that adds many: 4 us each; delayed ones, or with ids of the caller's, 10 us.
ADD_BITE = 250
# The same where some ask for locks, or to run again: 15 to 25 us each.
ADD_ONCE_BITE = 100
# Bytes of arguments that end a round trip of adding, so at the least a call: 2 to 10 us per KiB. A slow
# link, 1 Mbit/s, carries them within a time-out of 2 s.
ADD_BYTES = 256 * 1024
# Other endings than plain completion in one settle: a death with its history takes 20 us.
ENDINGS_BITE = 100
# Jobs in one call of the keeper's own. How many it trims follows from how long that takes.
PROMOTE_BITE = 256
TRIM_BITE = 256
