"""The web process: health for load balancers, metrics for Prometheus.

It answers from what it knows: threads of its own look at Redis and at the runtime directory, so that a
request never waits for either. It may hang or end without touching a worker; the socket it serves on is
the supervisor's, which puts another in its place.
"""
