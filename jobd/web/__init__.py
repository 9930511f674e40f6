"""The web process: health for load balancers, metrics for Prometheus, and an API for people's pages and
programs (`api`), for those who may (`auth`).

Health and metrics are answered from what it knows: threads of its own look at Redis and at the runtime
directory, so that such a request never waits for either. The API asks Redis, in threads too, of which there
are so many and no more. It may hang or end without touching a worker; the socket it serves on is
the supervisor's, which puts another in its place.
"""
