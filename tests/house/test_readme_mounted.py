"""What the README mounts in FastAPI and serves beside Django, serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.documents import block
from support.hosts import HTML, Host, Visitor

pytestmark = pytest.mark.process
FASTAPI = block("README.md", "FastAPI()")
DJANGO = block("README.md", "django_user")
SETTINGS = """
SECRET_KEY = "not one"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}}
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"]
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "shop.settings"
USE_TZ = True
urlpatterns = []
"""
# What a log-in leaves, without one.
SESSION = """
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.management import call_command
call_command("migrate", verbosity=0)
user = get_user_model().objects.create_superuser("ops")
session = SessionStore()
session[SESSION_KEY], session[HASH_SESSION_KEY] = str(user.pk), user.get_session_auth_hash()
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session.create()
open("session", "w").write(session.session_key)
"""


def looked_at(host: Host, cookie: str, value: str, login: str) -> None:
    """A browser of nobody is sent to log in; the operator sees pages, and nothing was logged as wrong."""
    sent = Visitor(host).get("/", headers=HTML)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{login}?next=/jobd/")
    ops = Visitor(host)
    ops.client.cookies.set(cookie, value, domain="127.0.0.1")
    assert ops.get("/", headers=HTML).status_code == 200
    said = ops.get("/session").json()
    assert (said["name"], said["role"]) == ("ops", "operator")
    assert ops.get("/api/v1/queues").json() == []
    assert "web.failed" not in host.output.read_text()


def test_the_application_of_fastapi_is_served(redis_url: str, tmp_path: Path) -> None:
    host = Host(tmp_path, redis_url, FASTAPI, "api")
    try:
        looked_at(host, "session", "3f9a", "/login")
    finally:
        host.end()


def test_the_site_of_django_is_served(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "settings.py").write_text(SETTINGS)
    (tmp_path / "shop" / "jobs.py").write_text("from jobd import Jobd\n\napp = Jobd()\n")
    named = 'import os\nos.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"\n'
    host = Host(tmp_path, redis_url, named + DJANGO + SESSION, "application")
    try:
        looked_at(host, "sessionid", (tmp_path / "session").read_text(), "/admin/login/")
    finally:
        host.end()
