"""The text of a new jobd.toml: every key there is, with its default. A test reads all of it."""

from __future__ import annotations


def template(app: str) -> str:
    """Give the text for an application."""
    return _TEXT.replace("@APP@", app)


_TEXT = """\
# jobd.toml - the daemon's configuration. `jobd check` reads it and imports the app.
# What is commented out is the default. Durations: "30s", "1h30m", or a number of seconds.

# module:attribute, found from the working directory
app = "@APP@"

[redis]
# url = "redis://127.0.0.1:6379/0"     # redis://, rediss://, unix:///path?db=0
#                                      # goes before it: JOBD_REDIS_URL in the environment
# namespace = "jobd"                   # the first part of every key

[daemon]
# lease = "30s"                        # a host that is gone this long loses its jobs to others
# drain_timeout = "25s"                # how long running jobs may go on after SIGTERM
# boot_timeout = "60s"                 # a worker that is not ready by then is killed and replaced
# hang_after = "30s"                   # so is one that makes no progress outside of a task, and a
#                                      # keeper; 0 = never
# max_processes = 0                    # workers of this host in all, shared by weight when they are
#                                      # short; 0 = no limit
# runtime_dir = "/run/jobd"            # scoreboard, state and lock, for one daemon;
#                                      # default: systemd's RUNTIME_DIRECTORY, else a private
#                                      # directory of the user
# queues = ["email", "reports"]        # serve these; default: all that are declared in code or here
# log = { format = "auto", level = "info" }
#                                      # auto: console on a terminal, journal under systemd, else
#                                      # json; levels: debug, info, warning, error

# One table for each queue with settings of its own. What is said here goes before the queue's
# options in code; a task's own options and those of a call go before this.
# [queues.email]
# processes = 1                        # worker processes; 0: the queue is served elsewhere; or
#                                      # { min = 1, max = 4, drain_within = "60s" }: as many as it
#                                      # takes for due work to be done that soon
# weight = 1                           # its share of daemon.max_processes, 1 to 1000
# concurrency = 1                      # jobs at once in each of them, 1 to 1000: threads, or
#                                      # asyncio tasks in a queue that has async ones
# preload = true                       # false: each worker imports the app for itself
# app = "shop.mail:app"                # when it is not the app above
# memory_limit = 0                     # of a process' own memory, as in "300MB" (10^6), "300MiB"
#                                      # (2^20) or bytes: above, it is replaced after its jobs
# memory_limit_hard = 0                # above, it is killed, and its running jobs have crashed
# max_jobs = 0                         # a process is replaced after so many jobs,
# max_age = 0                          # or after so long, as in "12h"; each within 10 %; 0 = never
# boot_timeout = "60s"                 # when it is not the daemon's
# attempts = 1                         # runs in all; above 1, tasks must be safe to repeat
# backoff = { kind = "exponential", base = "5s", factor = 2, cap = "10m", jitter = 1 }
#                                      # or { kind = "linear", base = "10s", cap = "10m" }
#                                      # or { kind = "fixed", base = "10s" }; a function, and
#                                      # retry_on and give_up_on, are set in code
# timeout = "30m"                      # then the worker is killed; 0 = never
# soft_timeout = 0                     # then jobd.SoftTimeout is raised in the task; 0 = never
# max_crashes = 3                      # a job that ends its process this often is dead: poison
# rate_limit = false                   # or { max = 100, per = "1m" }: that many starts in any minute,
#                                      # counted over all hosts
# max_active = 0                       # that many jobs at once, over all hosts; 0 = no limit
# retain = { completed = { age = "24h", count = 10_000 }, dead = { age = "7d" } }
#                                      # also cancelled = { age = "24h" }; a count for each

# What is added at times of its own, by no program: schedules. Code may declare them too
# (@queue.cron, @queue.every); of the same name on the same queue, what is said here holds.
# [[schedules]]
# name = "daily-digest"
# queue = "reports"
# task = "digest"
# args = { user_id = 7 }               # default: none
# cron = "0 9 * * *"                   # minute, hour, day of month, month, day of week; or @daily ...
# tz = "Europe/Berlin"                 # default: "UTC"
# missed = "latest"                    # of slots with no daemon to fire them within a minute:
#                                      # skip, latest (the last one, late), all (at most 100)
# unique = false                       # true: no job while the last one's still lives
# priority = 5                         # and expires, attempts, backoff, timeout ... of its jobs
# [[schedules]]
# name = "tidy"
# queue = "reports"
# task = "tidy"
# every = "5m"                         # instead of cron and tz; counted from 1970-01-01T00:00Z

# Health, metrics and dashboard come in a later release; this address is kept for them.
[web]
# bind = "127.0.0.1:9180"
"""
