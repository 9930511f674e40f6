"""The shop's own parts: what makes its tasks safe to repeat, and what the demo reads afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from email import message_from_bytes
from pathlib import Path

import pytest
from PIL import Image, UnidentifiedImageError

from examples.shop.customers import DAYS, orders
from examples.shop.files import Tail, once, whole
from examples.shop.mail import confirmation, question, send_once
from examples.shop.orders import Order, Orders
from examples.shop.pictures import make_thumbnail
from examples.shop.report import read_report, row, write_report
from examples.shop.settings import Settings
from examples.shop.show import photos
from examples.shop.show.sink import DELIVERIES

ORDER = Order(7, "2026-01-02", 'Ada, "the first"\nof them', "ada@c.example", "lamp", 2, 11800, True)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Settings]:
    """A folder and the demo's mail server."""
    server = subprocess.Popen(
        [sys.executable, "-m", "examples.shop.show.sink", str(tmp_path / "mail")],
        stdout=subprocess.PIPE,
    )
    with server:
        assert server.stdout is not None
        try:
            yield Settings(tmp_path, "127.0.0.1", int(server.stdout.readline()))
        finally:
            server.terminate()


def database(path: Path) -> Orders:
    made = Orders(path)
    made.create()
    return made


def delivered(shop: Settings) -> list[str]:
    return (shop.folder / "mail" / DELIVERIES).read_text().split()


def test_a_mail_is_sent_over_smtp_once(shop: Settings) -> None:
    """The second run of the same job looks first, and sends nothing."""
    remembered = database(shop.orders)

    assert send_once(confirmation(ORDER), remembered, shop)
    assert not send_once(confirmation(ORDER), remembered, shop)
    assert send_once(question(ORDER), remembered, shop)

    assert delivered(shop) == ["order-7", "review-7"]
    received = message_from_bytes((shop.folder / "mail" / "order-7.eml").read_bytes())
    assert (received["To"], received["Subject"]) == ("ada@c.example", "Your order no. 7")


def test_a_mail_whose_sending_was_not_remembered_goes_out_as_the_same_mail(shop: Settings) -> None:
    """A process died in between: delivered twice, but a mailbox knows it by its Message-ID."""
    send_once(confirmation(ORDER), database(shop.folder / "before.db"), shop)
    send_once(confirmation(ORDER), database(shop.folder / "after.db"), shop)

    assert delivered(shop) == ["order-7", "order-7"]
    assert [path.name for path in (shop.folder / "mail").glob("*.eml")] == ["order-7.eml"]


def test_a_file_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """Also when the writer fails half-way; then what was there before stays."""
    target = tmp_path / "new" / "file"

    def write(*parts: str) -> None:
        with whole(target) as temporary:
            for part in parts:
                assert not target.exists() or target.read_text() == "first"
                temporary.write_text(part)

    write("first")
    with pytest.raises(TypeError):
        write("half", 2)  # type: ignore[arg-type]
    assert (target.read_text(), os.listdir(target.parent)) == ("first", ["file"])


def test_once_is_once(tmp_path: Path) -> None:
    """Whoever asks."""
    assert [once(tmp_path / "marks" / "a") for _ in range(3)] == [True, False, False]


def test_a_growing_file_is_read_line_by_line(tmp_path: Path) -> None:
    """A line that is not finished is not read."""
    path = tmp_path / "lines"
    with Tail(path) as tail, path.open("a") as file:
        assert tail.new() == []
        print('{"n": 1}\n{"n"', end="", file=file, flush=True)
        assert tail.new() == [{"n": 1}]
        print(": 2}", file=file, flush=True)
        assert tail.new() == [{"n": 2}]


def test_orders_survive_the_database_and_the_report(tmp_path: Path) -> None:
    """Whatever a customer is called."""
    book = database(tmp_path / "orders.db")
    book.place([ORDER, *orders(3)])

    assert book.get(7) == ORDER
    assert book.of_day(date(2026, 1, 2)) == [ORDER]
    assert write_report(tmp_path / "r.csv", book.all()) == 4
    assert read_report(tmp_path / "r.csv") == [row(order) for order in book.all()]
    with pytest.raises(LookupError, match="order 99"):
        book.get(99)


def test_customers_are_the_same_every_time() -> None:
    """Over all the days, in the order of their numbers."""
    some = list(orders(500))

    assert some == list(orders(500))
    assert [order.id for order in some] == list(range(1, 501))
    assert len({order.day for order in some}) == DAYS
    assert 20 < sum(order.express for order in some) < 80


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "CMYK"])
def test_a_thumbnail_fits_its_square(tmp_path: Path, mode: str) -> None:
    """Whatever the colours of the source are, and never larger than it."""
    source = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    Image.new(mode, (300, 200)).save(source)

    assert make_thumbnail(source, tmp_path / "b.jpg", 150) == (150, 100)
    assert make_thumbnail(source, tmp_path / "c.jpg", 900) == (300, 200)
    with Image.open(tmp_path / "b.jpg") as made:
        assert (made.format, made.size) == ("JPEG", (150, 100))


def test_a_picture_taken_upright_stays_upright(tmp_path: Path) -> None:
    """Cameras write how they were held beside the pixels."""
    held = Image.Exif()
    held[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (1200, 800)).save(tmp_path / "a.jpg", exif=held)

    assert make_thumbnail(tmp_path / "a.jpg", tmp_path / "b.jpg", 300) == (200, 300)


def test_what_is_no_picture_leaves_no_thumbnail(tmp_path: Path) -> None:
    """Not even a part of one."""
    (tmp_path / "a.jpg").write_text("a letter")

    with pytest.raises(UnidentifiedImageError):
        make_thumbnail(tmp_path / "a.jpg", tmp_path / "out" / "b.jpg", 300)
    assert not (tmp_path / "out").exists()


def test_pictures_of_the_user_are_linked_under_plain_names(tmp_path: Path) -> None:
    """Two of the same name in two folders are two; what is no picture stays out."""
    for name in ("grün [x].JPG", "sub/grün [x].JPG", "notes.txt"):
        (tmp_path / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / name).write_bytes(b"x")

    assert photos.borrow(tmp_path / "mine", tmp_path / "photos") == 2
    links = sorted((tmp_path / "photos").iterdir())
    assert [link.name for link in links] == ["0001-gr_n_x_.jpg", "0002-gr_n_x_.jpg"]
    assert all(link.is_symlink() and link.read_bytes() == b"x" for link in links)
