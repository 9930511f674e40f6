"""The web process: health for load balancers, metrics for Prometheus, and an API for people's pages and
programs (`api`), for those who may (`auth`).

Health and metrics are answered from what it knows: threads of its own look at Redis and at the runtime
directory, so that such a request never waits for either. The API asks Redis, in threads too, of which there
are so many and no more. It may hang or end without touching a worker; the socket it serves on is
the supervisor's, which puts another in its place.

An application may have it too, with users of its own: `dashboard` makes what it mounts.
"""

from jobd.web.auth.host import anybody
from jobd.web.auth.person import Person
from jobd.web.django_user import django_user
from jobd.web.mounted import dashboard
from jobd.web.prefixed import prefixed

__all__ = ["Person", "anybody", "dashboard", "django_user", "prefixed"]
