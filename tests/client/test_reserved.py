"""Names of tasks that are jobd's own: whoever adds a job or declares a task gets none of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jobd import Jobd, Queue
from jobd.cli.main import main
from jobd.core.config import load
from jobd.core.errors import ConfigError, DeclarationError, OptionError

OURS = "jobd.on.dead"
SAID = r"'jobd\.on\.dead'; expected none that begins with 'jobd\.'.*; choose another"

WAYS: dict[str, Callable[[Queue], object]] = {
    "add": lambda q: q.add(OURS, {}),
    "add_many": lambda q: q.add_many([("fine", {}), (OURS, {})]),
    "add_many, as they come": lambda q: q.add_many(iter([(OURS, {})])),
    "schedule": lambda q: q.schedules.put("s", OURS, every="1h"),
}


@pytest.mark.parametrize("how", WAYS)
def test_nobody_adds_a_job_under_one(redis_url: str, how: str) -> None:
    """It would wait for an hour for a worker that knows it, or call hooks for what has not happened."""
    queue = Jobd(redis_url).queue("q")
    with pytest.raises(OptionError, match=SAID):
        WAYS[how](queue)
    assert list(queue.find("waiting")) == []
    assert queue.schedules.list() == []


def test_nobody_declares_one(redis_url: str) -> None:
    queue = Jobd(redis_url).queue("q")
    with pytest.raises(DeclarationError, match=r"begin with 'jobd\.' are jobd's own"):
        queue.task("jobd.mine")(lambda: None)


def test_neither_the_command_line_nor_a_file_says_one(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enqueue", "q", OURS, "--redis-url", redis_url]) == 64
    assert "'jobd.on.dead'; expected none that begins with" in capsys.readouterr().err
    file = '[[schedules]]\nname = "s"\nqueue = "q"\ntask = "jobd.on.dead"\nevery = "1h"\n'
    with pytest.raises(ConfigError, match=SAID):
        load(file, "jobd.toml")
