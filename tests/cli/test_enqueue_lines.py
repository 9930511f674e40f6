"""`jobd enqueue QUEUE --from FILE`, on a real server."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobd.broker.connection import Client, connect
from jobd.broker.views import Views
from jobd.cli.main import main


@pytest.fixture
def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Client]:
    monkeypatch.setenv("JOBD_REDIS_URL", redis_url)
    monkeypatch.chdir(tmp_path)
    client = connect(redis_url)
    yield client
    client.config_set("maxmemory", "0")
    client.close()


def write(*lines: str) -> str:
    Path("jobs.ndjson").write_text("".join(f"{line}\n" for line in lines))
    return "jobs.ndjson"


def numbered(n: int) -> list[str]:
    return [f'{{"task": "t", "args": {{"i": {i}}}}}' for i in range(n)]


def in_line(client: Client, state: str = "waiting") -> list[Any]:
    views = Views(client, "jobd")
    found = [views.info("q", job) for job in views.jobs("q", state, 10_000)]
    return [info.args for info in found if info is not None]


def enqueue(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["enqueue", "q", *arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_each_line_is_a_job_in_the_order_of_the_lines(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blank lines, a byte order mark and a missing last newline are no jobs."""
    Path("jobs.ndjson").write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(numbered(1500)).encode())
    code, said = enqueue("--from", "jobs.ndjson", capsys=capsys)

    assert (code, said["enqueued"], said["duplicates"], said["bad_lines"]) == (0, 1500, 0, 0)
    assert in_line(redis) == [{"i": i} for i in range(1500)]


def test_a_line_may_say_what_a_call_may(redis: Client) -> None:
    """What it says goes before the command line's; a line without a task is for TASK."""
    source = write(
        '{"task": "a", "args": {}, "priority": 1, "job_id": "first"}',
        '{"args": {"n": 2}, "job_id": "second"}',
        '{"job_id": "third", "run_after": "2099-01-01T00:00:00+01:00", "attempts": 3}',
        '{"job_id": "fourth", "run_after": "2099-01-01T00:00:00Z", "expires": "2099-02-01T00:00:00Z"}',
    )
    assert main(["enqueue", "q", "b", "--from", source, "--priority", "7"]) == 0

    views = Views(redis, "jobd")
    found = [views.info("q", job) for job in ("first", "second", "third", "fourth")]
    assert [(i.task, i.priority, i.state) for i in found if i] == [
        ("a", 1, "waiting"), ("b", 7, "waiting"), ("b", 7, "delayed"), ("b", 7, "delayed"),
    ]  # fmt: skip
    assert found[2] is not None
    assert (found[2].options, found[2].due_at) == ({"attempts": 3}, 4_070_905_200_000)


BAD = {
    "{": "one JSON object a line",
    "[1]": "expected a JSON object",
    "7": "expected a JSON object",
    '{"args": {}}': "expected a name",
    '{"task": 7}': "expected a name",
    '{"task": "t", "args": [1]}': "expected an object",
    '{"task": "t", "prioritty": 1}': "did you mean 'priority'",
    '{"task": "t", "delay": "soon"}': "expected a duration",
    '{"task": "t", "run_after": "2099-01-01"}': "time zone",
    '{"task": "t", "run_after": "the-day-after"}': "isoformat",
    '{"task": "a b"}': "task name",
    '{"task": "t", "args": {"x": "' + "x" * 140_000 + '"}}': "131072",
    '{"task": "t", "args": {"x": "' + "x" * 2_200_000 + '"}}': "over 1048576 bytes",
    '{"task": "t", "args": {"x": "\ud800"}}': "",
}


@pytest.mark.parametrize("line", BAD, ids=[why or "surrogate" for why in BAD.values()])
def test_a_bad_line_is_named_and_of_a_file_nothing_is_added(
    redis: Client, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    """All bad lines at once, before the first job is added."""
    lines = [*numbered(3), line, *numbered(2), line]
    Path("jobs.ndjson").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    code, said = enqueue("--from", "jobs.ndjson", capsys=capsys)

    assert (code, said["enqueued"], said["good_lines"], said["bad_lines"]) == (65, 0, 5, 2)
    assert [each["line"] for each in said["bad"]] == [4, 7]
    assert all(BAD[line] in each["problem"] for each in said["bad"])
    assert in_line(redis) == []


def test_what_became_of_the_good_lines_is_told_as_it_is(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a file that was checked as a whole nothing is in, also when its first lines are good."""
    assert main(["enqueue", "q", "--from", write(*numbered(2), "oops")]) == 65
    assert "nothing was added; correct it" in capsys.readouterr().err


def test_bad_lines_can_be_left_out(redis: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """They are named all the same, and the exit code says so."""
    source = write(*numbered(2), "oops", *numbered(3)[2:])
    assert main(["enqueue", "q", "--from", source, "--skip-bad"]) == 65

    told = capsys.readouterr()
    assert "jobs.ndjson: line 3: " in told.err
    assert told.out == "enqueued: 3; duplicates: 0\n"
    assert in_line(redis) == [{"i": i} for i in range(3)]


def test_a_dry_run_names_what_is_bad_and_adds_nothing(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a file that is good, too."""
    assert main(["enqueue", "q", "--from", write(*numbered(3)), "--dry-run"]) == 0
    assert capsys.readouterr().out == "would add: 3; bad lines: 0\n"
    assert main(["enqueue", "q", "--from", write(*numbered(3), "oops"), "--dry-run"]) == 65
    assert in_line(redis) == []


class Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def test_standard_input_is_added_as_it_comes_up_to_the_first_bad_line(
    redis: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read only once; so what came before it is in, and it is said."""
    text = "\n".join([*numbered(1200), "oops", *numbered(5)])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(text.encode())))
    code, said = enqueue("--from", "-", capsys=capsys)

    assert (code, said["enqueued"], said["good_lines"], said["bad"][0]["line"]) == (
        65,
        1200,
        1200,
        1201,
    )
    assert len(in_line(redis)) == 1200


def test_with_ids_a_repeat_adds_what_is_missing_and_nothing_twice(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ids of the lines, or made of their numbers."""
    source = write(*numbered(5), '{"task": "t", "job_id": "own"}')
    assert enqueue("--from", source, "--id-prefix", "import-7", capsys=capsys)[1]["enqueued"] == 6
    write(*numbered(5), '{"task": "t", "job_id": "own"}', *numbered(2))
    code, said = enqueue("--from", source, "--id-prefix", "import-7", capsys=capsys)

    assert (code, said["enqueued"], said["duplicates"]) == (0, 2, 6)
    assert "import-7.8" in Views(redis, "jobd").jobs("q", "waiting", 20)
    assert "own" in Views(redis, "jobd").jobs("q", "waiting", 20)


def test_who_is_cut_off_is_told_which_lines_are_in(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """And how to go on."""
    enqueue("--from", write(*numbered(1)), capsys=capsys)
    redis.config_set("maxmemory", "1")
    code, said = enqueue("--from", write("", *numbered(1500)), capsys=capsys)

    assert (code, said["enqueued"]) == (69, 0)
    assert "0 jobs are in; those of lines 2 to 1001 may be, and none after them" in said["error"]
    assert "--id-prefix" in said["error"]


def test_a_server_that_is_not_there_took_nothing(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its exit code is not that of an unknown outcome."""
    arguments = ["--from", write(*numbered(3)), "--redis-url", "redis://127.0.0.1:1/0"]
    code, said = enqueue(*arguments, capsys=capsys)
    assert code == 69
    assert "0 jobs are in; those of lines 1 to 3 are not" in said["error"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "x", "--arg", "a=1"], ["--from", "x", "--job-id", "a"], ["t", "--skip-bad"],
        ["t", "--dry-run"], ["t", "--id-prefix", "x"], ["--from", "x", "--id-prefix", "a b"],
        ["--from", "x", "--json-args", "{}"],
    ],
)  # fmt: skip
def test_what_makes_no_sense_together_is_refused(arguments: list[str], redis: Client) -> None:
    """As wrong usage."""
    _ = redis
    assert main(["enqueue", "q", *arguments]) == 64


def test_a_file_that_is_not_there_is_no_input(
    redis: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 66."""
    _ = redis
    assert main(["enqueue", "q", "--from", "nowhere.ndjson"]) == 66
    assert "nowhere.ndjson: No such file" in capsys.readouterr().err
