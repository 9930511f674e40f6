"""Whether the daemon of this host works on the Redis that is looked at: said, and nothing is mixed up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemons import eventually
from support.started import Started

from jobd import Jobd
from jobd.cli.main import main
from jobd.cli.same_redis import works_there
from jobd.core.portrait import Daemon, Host, Reload
from jobd.core.redis_place import same_place

APP = """
from jobd import Jobd

app = Jobd()
q = app.queue("q")

@q.task()
def double(n: int) -> int:
    return 2 * n
"""


@pytest.fixture
def run(tmp_path: Path, redis_url: str) -> Iterator[Started]:
    made = Started(tmp_path / "shop", redis_url, APP)
    yield made
    made.end()


class Shell:
    """The command line, in the daemon's directory; within this process, which is quicker."""

    def __init__(self, place: Path, patch: pytest.MonkeyPatch, out: pytest.CaptureFixture[str]):
        patch.chdir(place)
        self._patch, self._out = patch, out

    def look_at(self, url: str) -> None:
        self._patch.setenv("JOBD_REDIS_URL", url)

    def jobd(self, *arguments: str) -> str:
        assert main(arguments) == 0
        return self._out.readouterr().out

    def status(self) -> Any:
        return json.loads(self.jobd("status", "--json"))

    def works_here(self) -> bool | None:
        found: bool | None = self.status()["redis"]["daemon_works_here"]
        return found


@pytest.fixture
def shell(
    run: Started, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(run.top, monkeypatch, capsys)


@pytest.mark.process
def test_status_says_which_redis_the_daemon_works_on_and_counts_what_belongs_to_it(
    run: Started, redis_url: str, tmp_path: Path, shell: Shell
) -> None:
    """The one looked at, the same under another name, another after a reload, another database."""
    run.ready()
    seen = shell.status()
    assert (seen["daemon"]["redis"], seen["daemon"]["namespace"]) == (redis_url, "jobd")
    assert (seen["redis"]["namespace"], seen["redis"]["daemon_works_here"]) == ("jobd", True)
    assert "works on" not in shell.jobd("status")

    config = run.top / "jobd.toml"
    config.write_text(config.read_text().replace("[daemon]", 'namespace = "two"\n[daemon]'))
    assert shell.works_here() is False
    shell.jobd("reload")
    seen = shell.status()
    assert (seen["daemon"]["namespace"], seen["redis"]["daemon_works_here"]) == ("two", True)

    alias = tmp_path / "alias.sock"
    alias.symlink_to(redis_url.removeprefix("unix://"))
    shell.look_at(f"unix://{alias}")
    eventually("its word is there", shell.works_here)
    assert "works on" not in shell.jobd("status")

    other = f"{redis_url}?db=7"
    Jobd(other, namespace="two").queue("q").add("double", {"n": 1})
    shell.look_at(other)
    assert shell.works_here() is False
    for more in ((), ("--all",), ("--explain",)):
        said = shell.jobd("status", *more)
        assert f"it works on another Redis: {redis_url}, namespace two; all that follows" in said
        assert f"is of {other}, namespace two, without it" in said
        assert "q.1" not in said
        [row] = [line.split() for line in said.splitlines() if line.startswith("q ")]
        assert row == ["q", "1", "0", "0", "0", "0", "0", "none"]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("redis://h", "redis://ann:secret@H:6379/0?client_name=x", True),
        ("rediss://h:6380/1", "redis://h:6380?db=1", True),
        ("redis://h/0", "redis://h/7", False),
        ("unix:///r.sock", "unix:///r.sock?db=1", False),
        ("unix:///r.sock", "unix://:secret@/r.sock", True),
        ("unix:///r.sock", "redis://h", None),
        ("redis://localhost", "redis://127.0.0.1", None),
        ("redis://h:6379", "redis://h:6380", None),
        ("redis+sentinel://a,b/s", "redis+sentinel://:x@b:26379,c/s/0", True),
        ("redis+sentinel://a,b/s", "redis+sentinel://a,b/t", None),
        ("redis+sentinel://a/s/1", "redis+sentinel://a/s", False),
        ("redis+sentinel://h/s", "redis://h:26379", None),
        ("redis://...", "redis://h", None),
        ("redis://...", "redis://...", True),
    ],
)  # fmt: skip
def test_addresses_are_compared_by_where_they_lead(one: str, other: str, same: bool | None) -> None:
    """Passwords and options are no place; one server may have many names; one database is one place."""
    assert same_place(one, other) is same
    assert same_place(other, one) is same


def a_daemon(**changes: Any) -> Daemon:
    fields: dict[str, Any] = {
        "running": True, "stopping": False, "pid": 7, "started_at": 1.0, "up_for": 90.0, "generation": 1,
        "last_error": None, "helpers": {"keeper": "running"}, "workers": [], "nonce": "n",
        "redis": "redis://localhost", "namespace": "jobd",
    }  # fmt: skip
    return Daemon(**(fields | changes))


URL = "redis://127.0.0.1"


def test_only_what_a_daemon_has_said_of_itself_there_tells_two_names_of_one_place() -> None:
    """With the same address then and now: a reload may have led it elsewhere."""
    there = Host(key="h", silent_for=900.0, daemon=a_daemon())
    assert works_there(a_daemon(up_for=1.0), URL, "jobd", [there]) is True
    for changes in ({"nonce": "m"}, {"redis": "redis://elsewhere"}, {"namespace": "x"}):
        other = Host(key="h", silent_for=1.0, daemon=a_daemon(**changes))
        assert works_there(a_daemon(), URL, "jobd", [other]) is False


def test_it_is_another_redis_only_when_the_daemon_would_have_said_so_by_now() -> None:
    unsure = [
        a_daemon(up_for=1.0), a_daemon(helpers={"keeper": "waiting"}), a_daemon(helpers={}),
        a_daemon(reload=Reload(ago=2.0)),
    ]  # fmt: skip
    assert {works_there(daemon, URL, "jobd", []) for daemon in unsure} == {None}
    assert works_there(a_daemon(), URL, "jobd", None) is None  # Redis does not answer
    assert works_there(a_daemon(reload=Reload(ago=50.0)), URL, "jobd", []) is False


def test_nothing_is_claimed_of_a_daemon_that_is_over_or_of_another_version() -> None:
    for changes, namespace in itertools.product(
        ({"running": False}, {"redis": "", "namespace": ""}), ("jobd", "x")
    ):
        assert works_there(a_daemon(**changes), "redis://localhost", namespace, []) is None
