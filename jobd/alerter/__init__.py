"""The alerter process: it looks at rules, and tells people.

A process of its own, since it speaks to the world: whatever a receiver or a resolver does to it, leases
are renewed and workers supervised.

Its halves meet in two outboxes (jobd.core.alerts.delivery), one in Redis for all hosts, one in a file for
what a host says for itself: `loop`, `shared`, `local`, `facts` and `sight` look and put in;
`deliver` takes out and sends by `transfer`, to the addresses that `address` has checked, what `sinks` make
of it. `heartbeat` is the sign of life.
"""
