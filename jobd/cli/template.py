"""The text of a new jobd.toml: every key there is, with its default. A test reads all of it."""

from __future__ import annotations

import tomli_w


def template(app: str) -> str:
    """Give the text for an application."""
    return _TEXT.replace("@APP@\n", tomli_w.dumps({"app": app}))


_TEXT = """\
# jobd.toml - the daemon's configuration. `jobd check` reads it and imports the app;
# `jobd config show` prints what holds, and where it comes from.
#
# What is commented out is the default, or an example where there is none.
# Durations: "30s", "1h30m", or a number of seconds.
# Sizes: "300MB" (10^6), "300MiB" (2^20), or a number of bytes.
# "${NAME}" in a text: the variable of that name in the daemon's environment; "$${" is "${" itself.

# module:attribute, found from the working directory
@APP@

[redis]
# url = "redis://127.0.0.1:6379/0"     # rediss://... is the same over TLS; unix:///path?db=0;
#                                      # redis+sentinel://host:26379,host2/service/0
#                                      # goes before it: JOBD_REDIS_URL in the environment
# url_file = "redis-url"               # instead: a file that holds it, and with it the password:
#                                      # a systemd credential of that name, else beside this file
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

# --- queues: one table for each that has settings of its own ---
# What is said here goes before the queue's options in code; a task's own options and those of a
# call go before this.

# [queues.email]
# processes = 1                        # worker processes; 0: the queue is served elsewhere; or
#                                      # { min = 1, max = 4, drain_within = "60s" }: as many as it
#                                      # takes for due work to be done that soon
# weight = 1                           # its share of daemon.max_processes, 1 to 1000
# concurrency = 1                      # jobs at once in each of them, 1 to 1000: threads, or
#                                      # asyncio tasks in a queue that has async ones
# preload = true                       # false: each worker imports the app for itself
# app = "shop.mail:app"                # when it is not the app above
# memory_limit = 0                     # of a process' own memory, as in "300MB": above, it is
#                                      # replaced after its jobs; 0 = no limit
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
# rate_limit = false                   # or { max = 100, per = "1m" }: that many starts in any
#                                      # minute, counted over all hosts
# max_active = 0                       # that many jobs at once, over all hosts; 0 = no limit
# retain = { completed = { age = "24h", count = 10_000 }, dead = { age = "7d" } }
#                                      # also cancelled = { age = "24h" }; a count for each

# --- schedules: what is added at times of its own, by no program ---
# Code may declare them too (@queue.cron, @queue.every); of the same name on the same queue, what is
# said here holds. Options of its jobs may stand beside: expires, attempts, backoff, timeout ...

# [[schedules]]
# name = "daily-digest"
# queue = "reports"
# task = "digest"
# args = { user_id = 7 }               # default: none; ${NAME} means nothing here
# cron = "0 9 * * *"                   # minute, hour, day of month, month, day of week; or @daily
# tz = "Europe/Berlin"                 # default: "UTC"
# missed = "latest"                    # of slots with no daemon to fire them within a minute:
#                                      # skip, latest (the last one, late), all (at most 100)
# unique = false                       # true: no job while the last one's still lives
# priority = 5                         # 1 overtakes, 10 waits
# expires = "6h"                       # not begun by then: dead; default: never
# group = "digests"                    # a label to find its jobs by
# meta = { team = "sales" }            # and what its jobs carry beside their arguments

# [[schedules]]
# name = "tidy"
# queue = "reports"
# task = "tidy"
# every = "5m"                         # instead of cron and tz; counted from 1970-01-01T00:00Z
# attempts = 1
# backoff = { kind = "fixed", base = "10s" }
# timeout = "30m"
# soft_timeout = 0
# max_crashes = 3
# retain = { completed = { age = "24h" }, dead = { age = "7d" } }

# --- health, metrics and dashboard: /livez /readyz /healthz /metrics / ---

[web]
bind = "127.0.0.1:9180"                # without it nothing is served, but on systemd's sockets

# [web.dashboard]                      # without it dashboard and API are not served; health and
#                                      # metrics are, to whoever can reach them
# session_idle = "8h"                  # who does nothing for so long has to log in again;
# session_longest = "24h"              # so has everybody after so long
# hosts = ["jobs.example"]             # names that it is reached by; default: any
# proxies = ["127.0.0.1"]              # addresses and networks of proxies before it: their
#                                      # X-Forwarded-For and X-Forwarded-Proto are believed; "unix"
#                                      # for one that comes by a unix socket; default: none
# mask = ["*passw*", "*passphrase*", "*secret*", "*token*", "*authorization*", "*credential*",
#   "*api*key*", "*private*key*", "*card*number*", "cvv", "cvc", "iban"]
#                                      # of payloads, the fields whose values are not shown, in any
#                                      # letter case; [] shows all; log lines and errors are never
#                                      # masked
# open = false                         # true: no users, everybody on this host may do everything;
#                                      # for a developer's machine, never beyond loopback

# [web.dashboard.users]                # who logs in; what `jobd hash-password` prints
# ops = "${JOBD_OPS_HASH}"             # an operator: may look and act
# eva = { password = "${JOBD_EVA_HASH}", role = "viewer" }
#                                      # may look
# tom = { password_file = "tom-hash", role = "operator" }
#                                      # as redis.url_file

# [web.dashboard.tokens]               # programs; what `jobd hash-password --token` prints
# deploy = "${JOBD_DEPLOY_HASH}"
# watch = { token = "${JOBD_WATCH_HASH}", role = "viewer" }
# cron = { token_file = "cron-hash", role = "operator" }

# --- alerts: what is wrong, and who is told of it ---
# A rule fires while its value is above `above`, and has been for as long as `for` says. One message
# goes to each sink when it fires and one when it is over, however many hosts run. The kinds:
#
#   backlog          jobs are due and not begun: more than `above`, a number
#   latency          the oldest due job has waited longer than `above`, as in "5m"
#   failure_rate     of the runs within `window` (5m) more than `above` (20%) went wrong; fewer than
#                    `min_runs` (10) say nothing
#   dead             more than `above` (0) jobs have died within `window` (15m)
#   crash_loop       more than `above` (5) workers have crashed within `window` (5m)
#   stalled          work is due, and nothing was begun for `above` (10m)
#   no_workers       a queue has no live worker on any host, for 30s
#   missing_workers  a host has had fewer workers than it wants, for 1m
#   schedule_missed  a schedule's slot is due for longer than `above` (1m)
#   stuck            a job has run for longer than `above`, as in "1h"
#   memory           a worker has more memory of its own than `above`, as in "1GB"
#   interrupted      more than `above` (0) jobs were interrupted for the fifth time in `window` (1h)
#   redis_memory     Redis has used more than `above` (80%) of what it may, or more than a size
#   redis_down       this host cannot use Redis, for 10s; each host tells for itself
#   store_unfit      Redis may lose jobs: it evicts keys, fails to save, is a replica, too old
#   store_reset      Redis was flushed, or replaced by another
#   reload_refused   a host's last reload was refused; it runs with what it had
#   host_lost        a host has said nothing for `above` (30s), and has not ended in order

# [alerts]
# every = "2s"                         # how often rules are looked at, by one host of all
# builtin = true                       # with a sink, rules of these kinds are there by themselves,
#                                      # unless one of that kind is below: redis_down, store_unfit,
#                                      # store_reset, crash_loop, missing_workers, interrupted,
#                                      # reload_refused

# [[alerts.rules]]
# kind = "backlog"
# name = "email backlog"               # default: the kind and the queue
# queue = "email"                      # default: each queue by itself
# above = 1000
# clear_below = 500                    # over when below that; default: when not above `above`
# for = "5m"                           # default: at once
# repeat = "4h"                        # told again so often while it fires; 0 = never
# severity = "warning"                 # or "critical"
# sinks = ["hooks"]                    # default: all of them

# [[alerts.rules]]
# kind = "failure_rate"
# above = "20%"
# window = "5m"                        # in whole minutes, at most 2h
# min_runs = 10

# [[alerts.rules]]
# kind = "stuck"
# task = "digest"                      # default: any
# above = "1h"

# [[alerts.rules]]
# kind = "redis_down"
# severity = "critical"

# [[alerts.sinks]]
# name = "hooks"                       # default: its kind
# kind = "webhook"                     # signed after the Standard Webhooks specification
# url = "https://hooks.example/jobd"
# secret = "${JOBD_WEBHOOK_SECRET}"    # what it is signed with
# allow_private = false                # true: the address may be of this host or a private network
# timeout = "10s"                      # of one try; it tries again for hours

# [[alerts.sinks]]
# kind = "slack"
# url_file = "slack-url"               # as redis.url_file: who has the address may write there

# [[alerts.sinks]]
# kind = "pagerduty"
# secret_file = "pagerduty-key"        # the routing key of the integration

# [alerts.heartbeat]                   # an address that hears from this host while all is well:
# url = "https://watch.example/abc"    # when it hears nothing more, it tells
# url_file = "watch-url"               # instead of url
# every = "60s"
# allow_private = false
"""
