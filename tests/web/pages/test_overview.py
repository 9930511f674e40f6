"""The overview: what it shows of queues, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.pages import PageSite, tree

from jobd import Jobd


@pytest.fixture
def site(redis_url: str, tmp_path: Path) -> PageSite:
    return PageSite(redis_url, tmp_path)


@pytest.fixture
def app(redis_url: str) -> Jobd:
    return Jobd(redis_url)


def test_a_namespace_without_queues_says_how_one_comes_to_be(site: PageSite) -> None:
    assert "No queue yet." in tree(site.get("/")).text


def test_a_queue_is_a_row_and_its_counts_move_by_themselves(site: PageSite, app: Jobd) -> None:
    app.queue("mail").add("x")
    with site.watch("/") as news:
        assert 'id="queue-mail"' in news.next("whole")["html"]
        app.queue("mail").add("x")
        content = news.until("parts", lambda content: "queue-mail" in content["parts"])
    assert ">2<" in content["parts"]["queue-mail"]
    assert ">2<" in site.parts("/")["queue-mail"]


def test_nobody_sees_it_who_is_not_logged_in(site: PageSite) -> None:
    answer = site.ask("/", who=None)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")
