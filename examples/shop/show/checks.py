"""The checks of the account. Each gives the sentences of what is wrong, or nothing.

jobd's word (records, counts) and the world (mails, pictures, reports, effects) are two witnesses;
a job is accounted for when both tell the same of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from PIL import Image

from examples.shop.pictures import thumbnail_path
from examples.shop.report import read_report, row
from examples.shop.settings import Settings
from examples.shop.show.evidence import Added, Ending, Evidence

Check = Callable[[Evidence], Iterator[str]]
NEVER_ANSWERS = {"supplier": "Gone Ltd", "wakes_up": False}


def every_job_ended_once(all_: Evidence) -> Iterator[str]:
    """Each added job has one record, in a final state, the expected one."""
    if repeated := [id_ for id_, n in Counter(job.id for job in all_.added).items() if n > 1]:
        yield f"added twice: {', '.join(repeated[:5])}"
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if ending is None or ending.state not in {"completed", "dead", "cancelled"}:
            yield f"{_name(job)}: {ending.state if ending else 'no record'}; expected an end"
        elif not _as_expected(job, ending, all_.here):
            yield f"{_name(job)}: {ending.state}, cause {ending.cause}: {ending.error}"


def jobd_counts_the_same(all_: Evidence) -> Iterator[str]:
    """`jobd queues list` has as many jobs in each state as the producer's handles say."""
    for queue in sorted({job.queue for job in all_.added}):
        told = Counter({k: n for k, n in all_.counts.get(queue, {}).items() if n})
        ended = [all_.endings.get(job.id) for job in all_.added if job.queue == queue]
        found = Counter(str(ending.state) for ending in ended if ending)
        if told != found:
            yield f"queue {queue}: jobd counts {dict(told)}, the handles say {dict(found)}"


def completed_means_done(all_: Evidence) -> Iterator[str]:
    """A completed job was seen to finish; one that is dead was not."""
    for job in all_.added:
        ending = all_.endings.get(job.id)
        finished = any(run.how == "end" for run in all_.runs.by_job.get(job.id, ()))
        if ending and (ending.state == "completed") != finished:
            yield f"{_name(job)}: {ending.state}, but {'finished' if finished else 'not finished'}"


def no_run_without_a_job(all_: Evidence) -> Iterator[str]:
    """Nothing ran that nobody added."""
    if strangers := set(all_.runs.by_job) - {job.id for job in all_.added}:
        yield f"ran, but nobody added them: {', '.join(sorted(strangers)[:5])}"


def every_mail_is_there(all_: Evidence) -> Iterator[str]:
    """One .eml file for each mail job, and not one more."""
    kinds = {"order-confirmation": "order", "ask-for-review": "review"}
    wanted = {
        f"{kinds[job.task]}-{job.args['order_id']}" for job in all_.added if job.task in kinds
    }
    yield from (f"no mail {name}" for name in sorted(wanted - all_.mails))
    yield from (f"mail {name}, of no job" for name in sorted(all_.mails - wanted))
    unconfirmed = {f"order-{order.id}" for order in all_.orders} - all_.mails
    yield from (f"order without its mail: {name}" for name in sorted(unconfirmed))


def every_picture_is_there(all_: Evidence) -> Iterator[str]:
    """One readable thumbnail for each completed picture job, of the right size."""
    wanted = set()
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if job.queue != "images" or ending is None or ending.state != "completed":
            continue
        path = thumbnail_path(all_.here.thumbnails, job.args["photo"], job.args["size"])
        wanted.add(path.name)
        try:
            with Image.open(path) as picture:
                picture.load()
                if max(picture.size) > job.args["size"]:
                    yield f"{path.name}: {picture.size}; expected at most {job.args['size']}"
        except OSError as error:
            yield f"{path.name}: {error}"
    there = {path.name for path in all_.here.thumbnails.glob("[!.]*")}
    yield from (f"picture {name}, of no completed job" for name in sorted(there - wanted))


def reports_tell_the_orders(all_: Evidence) -> Iterator[str]:
    """The CSV files hold each order made, once, with what it was."""
    wanted = [row(order) for order in all_.orders]
    folder = all_.here.reports
    try:
        whole = read_report(folder / "sales.csv")
        by_day = [line for path in sorted(folder.glob("2*.csv")) for line in read_report(path)]
    except OSError as error:
        yield f"report: {error}"
        return
    if whole != wanted:
        yield f"sales.csv: {len(whole)} rows that are not the {len(wanted)} orders"
    if by_day != wanted:
        yield f"the day reports: {len(by_day)} rows that are not the {len(wanted)} orders"


def the_troubles_happened(all_: Evidence) -> Iterator[str]:
    """What was built to go wrong did, and was counted as what it was."""
    for job in all_.added:
        if (ending := all_.endings.get(job.id)) is None:
            continue
        if job.task == "book-carrier" and ending.failed != 2:
            yield f"{_name(job)}: {ending.failed} failures counted; expected 2"
        if job.task == "cover" and ending.crashes < 1:
            yield f"{_name(job)}: no crash counted; expected one"
        if job.task == "supplier-stock":
            wanted = 2 if job.args == NEVER_ANSWERS else 1
            if ending.timeouts != wanted:
                yield f"{_name(job)}: {ending.timeouts} time-outs counted; expected {wanted}"


CHECKS: tuple[Check, ...] = (
    every_job_ended_once,
    jobd_counts_the_same,
    completed_means_done,
    no_run_without_a_job,
    every_mail_is_there,
    every_picture_is_there,
    reports_tell_the_orders,
    the_troubles_happened,
)


def _as_expected(job: Added, ending: Ending, here: Settings) -> bool:
    if job.task == "supplier-stock" and job.args == NEVER_ANSWERS:
        return (ending.state, ending.cause) == ("dead", "timeout")
    if unreadable(job, ending, here):
        return True
    return ending.state == "completed"


def unreadable(job: Added, ending: Ending, here: Settings) -> bool:
    """Say whether a picture of the user's (a link) was refused by Pillow: dead, and rightly so."""
    return (
        job.queue == "images"
        and (here.photos / job.args["photo"]).is_symlink()
        and (ending.state, ending.cause) == ("dead", "failed")
    )


def _name(job: Added) -> str:
    return f"{job.task} {job.id}"
