"""The demo for real, small: it ends by itself with an account that adds up, and that notices."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import Path

import psutil
import pytest
from PIL import Image
from support.daemons import eventually, gone

from examples.shop.settings import Settings
from examples.shop.show import evidence
from examples.shop.show.checks import problems

pytestmark = pytest.mark.process

ORDERS = 40
MAILS = ORDERS + ORDERS // 10


@dataclass
class Ran:
    folder: Path
    code: int
    text: str


def start(top: Path, orders: int = ORDERS) -> subprocess.Popen[str]:
    """Start the demo on five pictures of the user's, one of which is none."""
    mine = top / "my pictures"
    mine.mkdir()
    for number in range(4):
        Image.effect_noise((900, 600), 50 + number).save(mine / f"{number}.png")
    (mine / "not a picture.jpg").write_text("a letter")
    return subprocess.Popen(
        [sys.executable, "-m", "examples.shop", "--orders", str(orders), "--images", str(mine),
         "--output", str(top / "out")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One whole demo."""
    top = tmp_path_factory.mktemp("demo")
    process = start(top)
    text, _ = process.communicate(timeout=100)
    return Ran(top / "out", process.returncode, text)


def found(folder: Path) -> list[str]:
    return problems(evidence.collect(Settings(folder, "", 0)))


def test_every_job_is_accounted_for(ran: Ran) -> None:
    """Mails, pictures, reports and troublemakers, by the demo's own word and by what is there."""
    jobs = MAILS + 16 + 32
    assert f"All {jobs} jobs are accounted for." in ran.text, ran.text
    assert ran.code == 0
    assert found(ran.folder) == []

    mails = [message_from_bytes(path.read_bytes()) for path in ran.folder.glob("mail/*.eml")]
    assert len({mail["Message-ID"] for mail in mails}) == MAILS
    assert len(list(ran.folder.glob("thumbnails/*.jpg"))) == 13
    assert len((ran.folder / "reports/sales.csv").read_text().splitlines()) == 1 + ORDERS


@pytest.mark.parametrize("told", [
    r"book-carrier +failed twice +\S+ m?s and \S+ m?s later +completed",
    r"cover +process crashed once +\S+ m?s later +completed",
    r"supplier-stock +.*timeout once +.* later +completed",
    r"supplier-stock +.*timeout twice +.* later +dead: timeout",
    r"thumbnail +no picture, 3 times +dead: failed",
    r"SIGKILL to \S+ \(pid \d+\) in the middle of",
    r" runs again, .* after the SIGKILL",
    r"Output: /",
])  # fmt: skip
def test_what_broke_is_told(ran: Ran, told: str) -> None:
    """Each accident with its end, and how fast it was back."""
    assert re.search(told, ran.text), ran.text


# --- a lie, or a loss, in a single job ------------------------------------------------------------


def lines(
    name: str, task: str, change: Callable[[dict[str, object]], object]
) -> Callable[[Path], None]:
    """Change the first line about a job of this task; a change that gives None drops it."""

    def alter(folder: Path) -> None:
        path = folder / name
        done = False
        with path.open() as file:
            read = [json.loads(line) for line in file]
        with path.open("w") as file:
            for line in read:
                if not done and line["task"] == task:
                    done = True
                    if (line := change(line)) is None:
                        continue
                file.write(json.dumps(line) + "\n")
        assert done

    return alter


def replaced(**values: object) -> Callable[[dict[str, object]], object]:
    return lambda line: line | values


def seen(**values: object) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = folder / evidence.SEEN
        path.write_text(json.dumps(json.loads(path.read_text()) | values))

    return alter


def recount(folder: Path) -> None:
    counts = json.loads((folder / evidence.SEEN).read_text())["counts"]
    counts["mail"]["completed"] -= 1
    seen(counts=counts)(folder)


def shorten(name: str) -> Callable[[Path], None]:
    def alter(folder: Path) -> None:
        path = next(folder.glob(name))
        path.write_bytes(path.read_bytes()[:-40])

    return alter


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: next(folder.glob(name)).unlink()


def make(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).touch()


ENDINGS, ADDED, EFFECTS = "endings.ndjson", "added.ndjson", "effects.ndjson"
MAIL, REVIEW, PICTURE = "order-confirmation", "ask-for-review", "thumbnail"


@pytest.mark.parametrize(("alter", "told"), [
    (lines(ENDINGS, MAIL, lambda _: None), "order-confirmation .*: no record of it"),
    (lines(ENDINGS, MAIL, replaced(state=None)), "order-confirmation .*: no record of it"),
    (lines(ENDINGS, MAIL, replaced(state="waiting")), "1 of 92 jobs have not ended: 1 waiting in mail"),
    (lines(ENDINGS, MAIL, replaced(args={"order_id": 0})), "its record tells of order-confirmation"),
    (lines(ENDINGS, MAIL, replaced(task="?", args=None)), r"its record tells of \? None"),
    (lines(ENDINGS, MAIL, replaced(state="dead", cause="poison")), "dead, cause poison"),
    (lines(ENDINGS, "book-carrier", replaced(failed=1)), "1 failures counted; expected 2"),
    (lines(ENDINGS, "cover", replaced(crashes=0)), "no crash counted"),
    (lines(ENDINGS, "supplier-stock", replaced(timeouts=0)), "0 time-outs counted; expected 1"),
    (lines(ADDED, MAIL, lambda _: None), "ran, but nobody added them"),
    (lines(ADDED, REVIEW, replaced(options={"delay": 60.0})), "ran .* s after it was added"),
    (lines(EFFECTS, MAIL, replaced(what="start", job="nobody's")), "completed, but not finished"),
    (recount, "queue mail: jobd counts .*43.*, the handles say .*44"),
    (seen(accident=None), "no worker was killed"),
    (remove("mail/order-7.eml"), "no mail order-7, but order-confirmation .* completed"),
    (make("mail/order-99.eml"), "mail order-99, of no job"),
    (remove("thumbnails/*.jpg"), "No such file .* completed"),
    (shorten("thumbnails/*-160.jpg"), "truncated"),
    (make("thumbnails/x.jpg"), "picture x.jpg, of no job"),
    (shorten("reports/sales.csv"), "sales.csv: .* rows that are not the 40 orders"),
    (remove("reports/2026-01-05.csv"), "2026-01-05.csv.* completed"),
])  # fmt: skip
def test_the_account_notices(
    ran: Ran, tmp_path: Path, alter: Callable[[Path], None], told: str
) -> None:
    """What differs in a single job is said, whichever witness it is missing from."""
    folder = tmp_path / "out"
    shutil.copytree(ran.folder, folder, symlinks=True)
    alter(folder)

    assert any(re.search(told, problem) for problem in found(folder)), found(folder)


# --- and it leaves nothing behind -----------------------------------------------------------------


def test_an_interrupted_demo_leaves_no_process(tmp_path: Path) -> None:
    """Neither server nor daemon nor worker, a second after ^C."""
    process = start(tmp_path, orders=100 * ORDERS)  # it is far from its end
    us = psutil.Process(process.pid)

    def at_work() -> list[psutil.Process] | None:
        mails = list(tmp_path.glob("out/mail/*.eml"))
        return us.children(recursive=True) if mails else None

    family = eventually("mails are sent", at_work)
    assert len(family) >= 7  # Redis, mail server, producer, supervisor, keeper, preloader, worker
    process.send_signal(signal.SIGINT)
    text, _ = process.communicate(timeout=100)

    assert (process.returncode, text.splitlines()[-1]) == (
        130,
        "Stopped; nothing of it runs any more.",
    )
    assert [one.pid for one in family if not gone(one.pid)] == []
