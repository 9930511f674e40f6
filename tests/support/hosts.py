"""Applications that mount the dashboard, served by uvicorn on a real socket, and browsers of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from jobd.web.auth.gatekeeper import CSRF_HEADER
from support.daemons import eventually
from support.web import free_port, tried

HTML = {"Accept": "text/html"}
# Its session is a cookie that names the user; what a real one does about that is not our concern.
FASTAPI = """
import logging, os, threading
from fastapi import FastAPI, HTTPException, Request, Response
from jobd import Jobd
from jobd.web import Person, dashboard

logging.basicConfig(filename=os.environ["LOG"], format="%(name)s %(levelname)s %(message)s")
jobs = Jobd()
api = FastAPI()
ROLES = {"ops": "operator", "eva": "viewer", "kim": "viewer"}

@api.post("/enter/{user}")
def enter(user: str, response: Response):
    response.set_cookie("who", user)

@api.post("/out/{user}")
def out(user: str):
    del ROLES[user]

@api.post("/spoil/{user}")
def spoil(user: str):
    ROLES[user] = "nonsense"

@api.get("/")
def home():
    return {"home": True, "thread": threading.current_thread().name}

def named(user):
    if user == "broken":
        raise RuntimeError("no database")
    if user == "strange":
        return {"name": "strange"}
    if user == "banned":
        raise HTTPException(403, "you are banned", {"X-Why": "spam", "Content-Length": "3"})
    return Person(user, ROLES[user]) if user in ROLES else None

def given(request):
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    return {"t-ops": "ops"}.get(bearer) or request.cookies.get("who")

def who(request: Request):
    assert request.app is api
    assert threading.current_thread() is not threading.main_thread()
    return named(given(request))

async def awho(request: Request):
    assert threading.current_thread() is threading.main_thread()
    return named(given(request))

api.mount("/jobd", dashboard(jobs, auth=who, login_url="/enter?a=1"))
api.mount("/deep/{tenant}/async", dashboard(jobs, auth=awho, hosts=["127.0.0.1"]))
"""
DJANGO = """
import logging, os
logging.basicConfig(filename=os.environ["LOG"], format="%(name)s %(levelname)s %(message)s")
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="not one", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], USE_TZ=True, DEBUG=False,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["LOG"] + ".db"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
)
from django.core.asgi import get_asgi_application
site = get_asgi_application()

from django.contrib.auth import authenticate, login, logout, get_user_model
from django.core.management import call_command
from django.http import HttpResponse
from django.urls import path
from jobd import Jobd
from jobd.web import Person, dashboard, django_user, prefixed

call_command("migrate", verbosity=0)
User = get_user_model()
if not User.objects.exists():
    User.objects.create_user("ops", password="pw", is_staff=True, is_superuser=True)
    User.objects.create_user("eva", password="pw", is_staff=True)
    User.objects.create_user("tom", password="pw")

def enter(request, name):
    login(request, authenticate(request, username=name, password="pw"))
    return HttpResponse("in")

def out(request):
    logout(request)
    return HttpResponse("out")

def home(request):
    return HttpResponse(f"home of {request.user.get_username()}")

urlpatterns = [path("", home), path("enter/<name>", enter), path("out", out)]

def who(request):
    user = django_user(request)
    if user is None or not user.is_staff:
        return None
    return Person(user.get_username(), "operator" if user.is_superuser else "viewer")

application = prefixed("/jobd", dashboard(Jobd(), auth=who, login_url="/enter"), site)
"""


class Host:
    """One process of an application."""

    def __init__(self, top: Path, url: str, source: str, app: str, *options: str) -> None:
        self.port = free_port()
        self.log = top / "app.log"
        (top / "hostapp.py").write_text(source)
        self.output = top / f"uvicorn-{self.port}.log"
        environment = os.environ | {"JOBD_REDIS_URL": url, "LOG": str(self.log)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "uvicorn", f"hostapp:{app}",
                 "--port", str(self.port), *options],
                cwd=top, env=environment, stdout=output, stderr=output,
            )  # fmt: skip

        def serves() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            return tried(self.port, "/") is not None

        eventually("an application that serves", serves)

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def told(self) -> str:
        """What the application's log has."""
        return self.log.read_text()

    def stop(self, within: float = 20.0) -> int:
        """End it in order."""
        self.process.terminate()
        return self.process.wait(within)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Visitor:
    """A browser: its cookies go to all ports of the host, and with each request that acts the token."""

    def __init__(self, host: Host, below: str = "/jobd", user: str | None = None) -> None:
        self.host = host
        self.below = below
        self.client = httpx.Client(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
        if user is not None:
            self.client.cookies.set("who", user, domain="127.0.0.1")

    def get(self, path: str = "/", **more: Any) -> httpx.Response:
        return self.client.get(f"{self.host.at}{self.below}{path}", **more)

    def post(self, path: str, json: Any = None, **headers: str) -> httpx.Response:
        """Act as a page does, with the token it was given; `headers` may say otherwise."""
        given = {"Origin": self.host.at} | {k.replace("_", "-"): v for k, v in headers.items()}
        if CSRF_HEADER not in given:
            given[CSRF_HEADER] = self.get("/session").json().get("csrf", "")
        return self.client.post(
            f"{self.host.at}{self.below}{path}", json={} if json is None else json,
            headers={k: v for k, v in given.items() if v},
        )  # fmt: skip
