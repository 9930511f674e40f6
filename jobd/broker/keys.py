"""Every key jobd uses, with its type. Nothing else spells a key.

All keys of a queue carry the queue's name as their hash tag, so a queue lives on one cluster slot.
"""

from __future__ import annotations


class QueueKeys:
    """The keys of one queue. Attribute names are the names in the headers of the scripts."""

    __slots__ = (
        "awaited", "cancelled", "completed", "dead", "delayed", "expiring", "held_prefix", "job_prefix",
        "leases", "meta", "minute_prefix", "off", "orders", "outbox", "rate", "recent_prefix", "root",
        "schedule_prefix", "schedules", "tally", "tally_past", "terms", "unique_prefix", "waiting", "wake_list",
    )  # fmt: skip

    def __init__(self, namespace: str, queue: str) -> None:
        self.root = root = f"{namespace}:{{{queue}}}:"
        self.held_prefix = root + "held:"  # HASH a worker: job id -> claim number of what it holds
        self.job_prefix = (
            root + "job:"
        )  # HASH a job: task args at seq, what is not the default, ~notes
        self.waiting = root + "waiting"  # ZSET id -> priority * 2^40 + sequence
        self.delayed = root + "delayed"  # ZSET id -> due, ms
        self.leases = root + "leases"  # ZSET incarnation -> expiry, ms; 0 = closed
        self.terms = root + "terms"  # HASH incarnation -> length of its lease, ms
        self.completed = root + "completed"  # ZSET id -> finished at, ms
        self.dead = root + "dead"  # ZSET id -> died at, ms
        self.cancelled = root + "cancelled"  # ZSET id -> cancelled at, ms
        self.recent_prefix = root + "recent:"  # SET ids of one window: removed, but remembered
        self.unique_prefix = (
            root + "unique:"
        )  # STRING a lock: holder's job id, of a ttl also until, ms
        self.expiring = root + "expiring"  # ZSET id -> ms: jobs with a retention of their own
        self.orders = root + "orders"  # HASH job id -> "word claim incarnation", of running jobs
        self.awaited = root + "awaited"  # ZSET id -> until, ms: somebody waits for its end
        self.wake_list = root + "wake"  # LIST of hints for idle workers
        self.meta = root + "meta"  # HASH claim and seq numbers, settings, what holds the queue back
        self.rate = root + "rate"  # HASH the claims of the last window, where there is a rate limit
        self.off = root + "off"  # HASH paused task -> score of its jobs in `delayed`
        self.tally = root + "tally"  # HASH counters and histogram buckets, forever
        self.tally_past = root + "tally-past"  # HASH ms since 1970 -> the tally then, as lines
        self.minute_prefix = root + "minute:"  # HASH outcome counts of one minute
        self.schedules = root + "schedules"  # ZSET name -> next slot, ms; inf: paused
        self.schedule_prefix = root + "schedule:"  # HASH a schedule: what it adds, when, its past
        self.outbox = root + "outbox"  # STREAM terminal events to deliver

    def held(self, incarnation: str) -> str:
        """HASH job id -> claim number, of what an incarnation holds."""
        return self.held_prefix + incarnation

    def job(self, job_id: str) -> str:
        """HASH the record of one job."""
        return self.job_prefix + job_id


class SharedKeys:
    """The keys that belong to no queue."""

    def __init__(self, namespace: str) -> None:
        self.queues = f"{namespace}:queues"  # SET of names
        self.epoch = f"{namespace}:epoch"  # STRING random, made once
        self.hosts = f"{namespace}:hosts"  # HASH a daemon -> "said at, ms" and how it is, as JSON
        # HASH of a host: order -> "until, ms" and what it is asked for, as JSON; has a TTL
        self.host_orders_prefix = f"{namespace}:host-orders:"
        # LIST of an order: what came of it, as JSON; has a TTL
        self.host_answer_prefix = f"{namespace}:host-answer:"
        self.format = f"{namespace}:format"  # STRING number of this layout
        alerts = f"{namespace}:{{:alerts}}:"  # one slot of a cluster, and no queue's name
        self.alert_states = alerts + "states"  # HASH rule -> the states of all it looks at, as JSON
        self.alert_mutes = alerts + "mutes"  # HASH rule -> until, ms
        self.alert_history = alerts + "history"  # LIST "at, ms" and a change, as JSON; newest first
        self.alert_due = (
            alerts + "due"
        )  # ZSET "notification sink" -> when tried next, ms; heads of lines
        self.alert_notes = (
            alerts + "notes"
        )  # HASH notification -> its rule, a newline, what it says as JSON
        self.alert_tries = alerts + "tries"  # HASH "notification sink" -> how often it was tried
        self.alert_order = alerts + "order"  # ZSET "notification sink\nrule" -> number, by age
        self.alert_line_prefix = alerts + "line:"  # LIST of a sink and rule: notifications to tell
        self.alert_counts = alerts + "counts"  # HASH sent, given_up, dropped -> how many deliveries
        self.alert_reset = alerts + "reset"  # STRING "epoch at, ms": when the store began anew
        self.alert_beat = (
            alerts + "beat"
        )  # ZSET "at" -> when an alerter last looked, ms: what goes back has lost data
        self.alert_loads = (
            alerts + "loads"
        )  # HASH rule, newline, digest -> "loaded said for daemon host", newline, the definition as JSON
        self.alert_turn_prefix = alerts + "look:"  # STRING who looks at a rule just now; has a TTL
        self.alert_old_turn_prefix = alerts + "turn:"  # the same, of versions that know of no loads
        web = f"{namespace}:{{:web}}:"
        self.web_session_prefix = (
            web + "session:"
        )  # HASH by its token's hash: whose, since; has a TTL
        self.web_sessions_prefix = web + "sessions:"  # ZSET of a user: token's hash -> its end, ms
        self.web_tries = (
            web + "tries"
        )  # ZSET who tries to log in -> until when tries are used up, ms
        self.web_operations = (
            web + "operations"
        )  # HASH operation -> "at word", and how far it is, as JSON; has a TTL
        self.web_operation_stops = (
            web + "operation_stops"
        )  # ZSET operation -> when its end was asked for, ms; has a TTL
        self.web_secret = web + "secret"  # STRING random, made once: for tokens against forgery
        self.web_known = web + "known"  # ZSET "user address" -> when that was a right password, ms


FORMAT = 1
