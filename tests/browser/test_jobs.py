"""One job, and many: seen, found, retried, cancelled, deleted."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import expect

from browser.conftest import Visit
from browser.house import House
from browser.visitor import Visitor

pytestmark = pytest.mark.usefixtures("tidy")


def plant_dead(house: House, count: int, queue: str = "odd") -> list[str]:
    """Write so many dead jobs, quicker than they could die."""
    now, ids = int(time.time() * 1000), [f"dead-{n:06d}" for n in range(count)]
    root = f"jobd:{{{queue}}}:"
    for first in range(0, count, 1000):
        pipe = house.client.pipeline(transaction=False)
        for number, job in enumerate(ids[first : first + 1000], first):
            task, error = ("even", "odd")[number % 2], f"KeyError: order {number}"
            record = {"task": task, "args": "{}", "at": now - 9000, "cause": "failed", "failed": 1}
            pipe.hset(f"{root}job:{job}", mapping=record | {"error": error, "more": 1})
            pipe.zadd(f"{root}dead", {job: now - count + number})
        pipe.execute()
    return ids


def test_a_dead_job_is_retried_and_seen_to_complete(ops: Visitor) -> None:
    """Without the page being loaded again: it says why it died, is told to go on, and shows what it gave."""
    house = ops.house
    [job] = house.dead(1, "mended")
    page = ops.go(f"/queues/q/jobs/{job}")
    expect(page.locator("#job-error")).to_contain_text("no such file yet")
    expect(page.locator("#job-head")).to_contain_text("dead")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    house.tell("mended")
    ops.act("Retry", page.get_by_role("group", name="Act on this job"))
    expect(page.locator("#job-head .state")).to_have_text("completed")
    expect(page.get_by_role("region", name="Result")).to_contain_text("at last")
    expect(ops.button("Retry")).to_have_count(0)
    assert ops.is_marked, "the page was loaded again"
    assert house.queue().job(job).state() == "completed"


def test_progress_and_log_of_a_job_are_seen_while_it_runs(ops: Visitor) -> None:
    house = ops.house
    handle = house.queue("reports").add("report", {"path": house.path("live"), "steps": 4})
    page = ops.go(f"/queues/reports/jobs/{handle.id}")
    expect(page.locator("#live")).to_have_text("Live")
    ops.mark()
    for step in range(1, 5):
        house.tell(f"live.{step}")
        expect(page.locator("#job-why")).to_contain_text(f"{step} of 4 done")
        bar = page.get_by_role("progressbar", name="Progress")
        expect(bar).to_have_js_property("value", step / 4)
        expect(page.locator("#job-log li")).to_have_count(step)
    expect(page.locator("#job-head .state")).to_have_text("active")
    house.tell("live.end")
    expect(page.locator("#job-head .state")).to_have_text("completed")
    expect(page.locator("#job-log li")).to_have_count(4)
    assert ops.is_marked, "the page was loaded again"


def test_what_waits_and_what_runs_is_cancelled(ops: Visitor) -> None:
    """What runs is ended with its process, where that is asked for and meant."""
    house = ops.house
    waiting = house.queue("odd").add("quiet", {"n": 1})
    page = ops.go(f"/queues/odd/jobs/{waiting.id}")
    ops.act("Cancel")
    expect(page.locator("#job-head .state")).to_have_text("cancelled")
    running = house.queue("naps").add("nap", {"path": house.path("never")})
    page = ops.go(f"/queues/naps/jobs/{running.id}")
    expect(page.locator("#job-head .state")).to_have_text("active")
    ops.button("Cancel by force").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave it").click()
    assert running.state() == "active"
    ops.act("Cancel by force")
    expect(page.locator("#job-head .state")).to_have_text("cancelled")


def test_a_deleted_job_is_gone_and_who_looks_at_it_is_told(visit: Visit) -> None:
    """And has no button left that could only fail."""
    one, other = visit("ops"), visit("ops")
    [job] = one.house.dead(1, "never")
    seen = other.go(f"/queues/q/jobs/{job}")
    expect(seen.locator("#live")).to_have_text("Live")
    page = one.go(f"/queues/q/jobs/{job}")
    one.act("Delete")
    expect(page).to_have_url(re.compile(r"/queues/q/jobs\?state=dead"))
    expect(seen.get_by_role("alert")).to_contain_text("no longer recorded")
    expect(seen.locator("#live")).to_have_text("Gone")
    assert seen.locator("main [data-act]").count() == 0
    with one.watch.allowing("404"):
        answer = page.goto(f"/queues/q/jobs/{job}")
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_a_job_is_found_by_its_id_wherever_it_is(ops: Visitor) -> None:
    handle = ops.house.queue("odd").add("quiet", {"n": 1})
    page = ops.go("/")
    page.get_by_role("searchbox").fill(f" {handle.id} ")
    page.get_by_role("searchbox").press("Enter")
    expect(page).to_have_url(re.compile(f"/queues/odd/jobs/{handle.id}$"))
    for unknown in ("no-such-job", "<b>x</b>", "%00"):
        with ops.watch.allowing("404"):
            page = ops.go("/")
            page.get_by_role("searchbox").fill(unknown)
            page.get_by_role("searchbox").press("Enter")
            expect(page.locator("main")).to_contain_text(unknown)
            assert page.locator("main b").count() == 0


def test_a_long_list_is_gone_through_page_by_page_without_a_gap(ops: Visitor) -> None:
    ids = plant_dead(ops.house, 130)
    page = ops.go("/queues/odd/jobs?state=dead")
    seen: list[str] = []
    while True:
        seen += page.locator("tbody th.id").all_inner_texts()
        onward = page.get_by_role("link", name="Next page")
        if not onward.count():
            break
        onward.click()
        page.wait_for_load_state()
    assert sorted(seen) == ids, "each once"
    page.go_back()
    page.go_back()
    expect(page.locator("tbody th.id").first).to_have_text(seen[0])


def test_filters_find_what_they_say_and_are_in_the_address(ops: Visitor) -> None:
    plant_dead(ops.house, 40)
    page = ops.go("/queues/odd/jobs?state=dead")
    page.get_by_label("Task").fill("odd")
    page.get_by_label("Error contains").fill("ORDER 1")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page).to_have_url(re.compile(r"\?state=dead&task=odd&error=ORDER\+1&"))
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(6)  # 1, 11, 13, 15, 17, 19
    for row in rows.all():
        expect(row).to_contain_text(re.compile("odd"))
        expect(row).to_contain_text(re.compile("order 1"))
    page.reload()
    expect(rows).to_have_count(6)
    expect(page.get_by_label("Task")).to_have_value("odd")
    page.get_by_role("link", name="Clear").click()
    expect(rows).to_have_count(40)
    with ops.watch.allowing("answer: 4"):
        page.goto("/queues/odd/jobs?state=dead&older_than=long&task=%3Cb%3E")
    expect(page.get_by_role("alert")).to_be_visible()


def test_ten_thousand_are_deleted_and_it_is_seen_how_far_it_is(ops: Visitor) -> None:
    house = ops.house
    plant_dead(house, 10_000)
    kept = house.queue("odd").add("quiet", {"n": 1})
    page = ops.go("/queues/odd/jobs?state=dead")
    ops.button("Delete all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("10,000 jobs")
    dialog.get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/operations/"))
    page.evaluate(
        """() => { window.__values = []; const bar = document.querySelector('progress');
        new MutationObserver(() => window.__values.push(bar.value)).observe(bar, { attributes: true }); }"""
    )
    expect(page.locator("#operation-state")).to_have_text("done")
    expect(page.locator("#operation-progress")).to_contain_text("10,000 of 10,000")
    expect(page.locator("#operation-counts")).to_contain_text(re.compile(r"deleted\s*10,000"))
    values = page.evaluate("window.__values")
    assert values == sorted(values), "it went back"
    assert house.client.zcard("jobd:{odd}:dead") == 0
    assert kept.state() == "waiting"
    page.get_by_role("link", name="Operations").first.click()
    expect(page.get_by_role("row", name="Delete odd done").first).to_contain_text("10,000 deleted")


def test_those_that_are_ticked_and_no_others_are_retried(ops: Visitor) -> None:
    house = ops.house
    house.tell("ticked")
    late = house.dead(3, "untold")
    page = ops.go("/queues/q/jobs?state=dead")
    expect(ops.button("Retry", page.get_by_role("group", name="ticked"))).to_be_disabled()
    page.get_by_label(f"Tick job {late[1]}").check()
    house.tell("untold")
    ops.act("Retry", page.get_by_role("group", name="Act on the ticked jobs"))
    expect(page.locator("#operation-state")).to_have_text("done")
    handles = [house.queue().job(job) for job in late]
    page.goto(f"/queues/q/jobs/{late[1]}")
    expect(page.locator("#job-head .state")).to_have_text("completed")
    assert [handle.state() for handle in handles] == ["dead", "completed", "dead"]


def test_the_dead_are_grouped_and_a_whole_group_is_retried(ops: Visitor) -> None:
    house = ops.house
    late = house.dead(5, "grouped")
    plant_dead(house, 20)
    page = ops.go("/dead")
    group = page.get_by_role("listitem").filter(has_text="picky")
    expect(group).to_contain_text("no such file yet")
    expect(group.locator(".much strong")).to_have_text("5")
    house.tell("grouped")
    ops.button("Retry all", group).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(
        "Retry: 5 jobs of picky in queue q, dead of failed with an error like “ValueError: no such file yet"
    )
    dialog.get_by_role("button", name="Retry 5 jobs").click()
    expect(page.locator("#operation-state")).to_have_text("done")
    expect(page.locator("#operation-counts")).to_contain_text(re.compile(r"retried\s*5"))
    page.goto(f"/queues/q/jobs/{late[0]}")
    expect(page.locator("#job-head .state")).to_have_text("completed")
    assert house.client.zcard("jobd:{odd}:dead") == 20


def test_a_viewer_who_sends_what_a_button_would_is_refused(visit: Visit) -> None:
    """Not only is there no button: the session may not, whatever its browser sends."""
    eva = visit("eva")
    [job] = eva.house.dead(1, "refused")
    page = eva.go(f"/queues/q/jobs/{job}")
    with eva.watch.allowing("403"):
        statuses = page.evaluate(
            """async (job) => { const said = [];
            const csrf = document.querySelector('meta[name=csrf]').content;
            for (const headers of [{}, { 'X-Jobd-Csrf': csrf }]) {
                const answer = await fetch(`/api/v1/queues/q/jobs/${job}/retry`, { method: 'POST', headers });
                said.push(answer.status);
            } return said; }""",
            job,
        )
    assert statuses == [403, 403]
    assert eva.house.queue().job(job).state() == "dead"
