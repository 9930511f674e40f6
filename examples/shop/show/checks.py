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
from examples.shop.till import FINAL

Check = Callable[[Evidence], Iterator[str]]
NEVER_ANSWERS = {"supplier": "Gone Ltd", "wakes_up": False}
MAILS = {"order-confirmation": "order", "ask-for-review": "review"}
_EARLY = 0.005  # seconds; Redis counts in milliseconds, and by another clock


def every_job_has_ended(all_: Evidence) -> Iterator[str]:
    """No job is left waiting, delayed or active when the time is up."""
    left = [job for job in all_.added if _is_open(all_.endings.get(job.id))]
    if left:
        where = Counter(f"{all_.endings[job.id].state} in {job.queue}" for job in left)
        places = ", ".join(f"{n:,} {place}" for place, n in where.most_common())
        yield f"{len(left):,} of {len(all_.added):,} jobs have not ended: {places}; as {left[0]}"


def every_record_tells_of_its_job(all_: Evidence) -> Iterator[str]:
    """Each added job has one record, with the task and the arguments it was added with."""
    if repeated := [id_ for id_, n in Counter(job.id for job in all_.added).items() if n > 1]:
        yield f"added twice: {', '.join(repeated[:5])}"
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if ending is None or ending.state is None:
            yield f"{job}: no record of it"
        elif (ending.task, ending.args) != (job.task, job.args):
            yield f"{job}: its record tells of {ending.task} {ending.args}; expected {job.args}"


def every_end_is_the_expected_one(all_: Evidence) -> Iterator[str]:
    """Completed, but for the one job that was made to fail for good."""
    for job, ending in _ended(all_):
        if not _as_expected(job, ending, all_.here):
            yield f"{job}: {ending.state}, cause {ending.cause}: {ending.error}"


def jobd_counts_the_same(all_: Evidence) -> Iterator[str]:
    """`jobd queues list` has as many jobs in each state as their handles say."""
    for queue in sorted({job.queue for job in all_.added}):
        endings = [all_.endings.get(job.id) for job in all_.added if job.queue == queue]
        if any(_is_open(ending) for ending in endings):
            continue  # it went on between the two looks
        found = Counter(ending.state or "no record" for ending in endings if ending)
        told = Counter({state: n for state, n in all_.counts.get(queue, {}).items() if n})
        if told != found:
            yield f"queue {queue}: jobd counts {dict(told)}, the handles say {dict(found)}"


def completed_means_done(all_: Evidence) -> Iterator[str]:
    """A completed job was seen to finish; one that is dead was not."""
    for job, ending in _ended(all_):
        finished = all_.runs.was_finished(job.id)
        if (ending.state == "completed") != finished:
            yield f"{job}: {ending.state}, but {'finished' if finished else 'not finished'}"


def no_run_without_a_job(all_: Evidence) -> Iterator[str]:
    """Nothing ran that nobody added."""
    if strangers := set(all_.runs.by_job) - {job.id for job in all_.added}:
        yield f"ran, but nobody added them: {', '.join(sorted(strangers)[:5])}"


def no_delayed_job_ran_early(all_: Evidence) -> Iterator[str]:
    """A delay is counted from the adding on."""
    for job in all_.added:
        if "delay" in job.options and (runs := all_.runs.by_job.get(job.id)):
            after = runs[0].started_at - job.since
            if after < job.options["delay"] - _EARLY:
                yield f"{job}: ran {after:.3f} s after it was added, delay {job.options['delay']} s"


def every_mail_is_there(all_: Evidence) -> Iterator[str]:
    """One .eml file for each completed mail job, and none of no job."""
    jobs = {
        f"{MAILS[job.task]}-{job.args['order_id']}": job for job in all_.added if job.task in MAILS
    }
    wanted = {name for name, job in jobs.items() if _completed(all_, job)}
    yield from (
        f"no mail {name}, but {jobs[name]} completed" for name in sorted(wanted - all_.mails)
    )
    yield from (f"mail {name}, of no job" for name in sorted(all_.mails - set(jobs)))


def every_picture_is_there(all_: Evidence) -> Iterator[str]:
    """One readable thumbnail for each completed picture job, of the right size, and none of no job."""
    known = set()
    for job in all_.added:
        if job.queue != "images":
            continue
        path = thumbnail_path(all_.here.thumbnails, job.args["photo"], job.args["size"])
        known.add(path.name)
        if not _completed(all_, job):
            continue
        try:
            with Image.open(path) as picture:
                picture.load()
                if max(picture.size) > job.args["size"]:
                    yield f"{path.name}: {picture.size}; expected at most {job.args['size']}"
        except OSError as error:
            yield f"{path.name}: {error}, but {job} completed"
    there = {path.name for path in all_.here.thumbnails.glob("[!.]*")}
    yield from (f"picture {name}, of no job" for name in sorted(there - known))


def every_report_tells_the_orders(all_: Evidence) -> Iterator[str]:
    """The CSV file of each completed report job holds its orders, once each, as they are."""
    for job in all_.added:
        if job.task not in {"sales-report", "day-report"} or not _completed(all_, job):
            continue
        day = job.args.get("day")
        wanted = [row(order) for order in all_.orders if day in (None, order.day)]
        try:
            found = read_report(all_.here.reports / f"{day or 'sales'}.csv")
        except OSError as error:
            yield f"report: {error}, but {job} completed"
            continue
        if found != wanted:
            yield f"{day or 'sales'}.csv: {len(found)} rows that are not the {len(wanted)} orders"


def the_troubles_happened(all_: Evidence) -> Iterator[str]:
    """What was made to go wrong did, and was counted as what it was."""
    for job, ending in _ended(all_):
        if job.task == "book-carrier" and ending.failed != 2:
            yield f"{job}: {ending.failed} failures counted; expected 2"
        if job.task == "cover" and ending.crashes < 1:
            yield f"{job}: no crash counted; expected one"
        wanted = 2 if job.args == NEVER_ANSWERS else 1
        if job.task == "supplier-stock" and ending.timeouts != wanted:
            yield f"{job}: {ending.timeouts} time-outs counted; expected {wanted}"
        if all_.accident and job.id == all_.accident.job and ending.crashes < 1:
            yield f"{job}: its worker was killed, but no crash is counted"
    if all_.accident is None:
        yield "no worker was killed: none was found in the middle of a job"


CHECKS: tuple[Check, ...] = (
    every_job_has_ended,
    every_record_tells_of_its_job,
    every_end_is_the_expected_one,
    jobd_counts_the_same,
    completed_means_done,
    no_run_without_a_job,
    no_delayed_job_ran_early,
    every_mail_is_there,
    every_picture_is_there,
    every_report_tells_the_orders,
    the_troubles_happened,
)


def problems(all_: Evidence) -> list[str]:
    """Run every check; give a sentence for each thing that is not accounted for."""
    return [problem for check in CHECKS for problem in check(all_)]


def unreadable(job: Added, ending: Ending, here: Settings) -> bool:
    """Say whether a picture of the user's (a link) was refused by Pillow: dead, and rightly so."""
    return (
        job.queue == "images"
        and (here.photos / job.args["photo"]).is_symlink()
        and (ending.state, ending.cause) == ("dead", "failed")
    )


def _ended(all_: Evidence) -> Iterator[tuple[Added, Ending]]:
    for job in all_.added:
        ending = all_.endings.get(job.id)
        if ending is not None and ending.state in FINAL:
            yield job, ending


def _is_open(ending: Ending | None) -> bool:
    return ending is not None and ending.state is not None and ending.state not in FINAL


def _completed(all_: Evidence, job: Added) -> bool:
    ending = all_.endings.get(job.id)
    return ending is not None and ending.state == "completed"


def _as_expected(job: Added, ending: Ending, here: Settings) -> bool:
    if job.task == "supplier-stock" and job.args == NEVER_ANSWERS:
        return (ending.state, ending.cause) == ("dead", "timeout")
    return ending.state == "completed" or unreadable(job, ending, here)
