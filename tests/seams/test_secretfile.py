"""Secrets in files: where they are looked for, and what is wrong with them, without the content."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobd.core.errors import Absent, OptionError
from jobd.seams import secretfile


@pytest.fixture(autouse=True)
def credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "credentials"
    directory.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(directory))
    return directory


def test_a_relative_name_is_a_credential_first_then_beside_the_file(
    tmp_path: Path, credentials: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An absolute one is what it is. The line break at the end is not part of it."""
    (tmp_path / "both").write_text("beside\n")
    (tmp_path / "here").write_text("here alone\r\n")
    (credentials / "both").write_text("credential")

    assert secretfile.read("both", tmp_path).text == "credential"
    assert secretfile.read("here", tmp_path) == ("here alone", str(tmp_path / "here"))
    assert secretfile.read(str(tmp_path / "both"), Path("/")).text == "beside"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert secretfile.read("both", tmp_path).text == "beside"


def test_what_is_no_secret_is_refused_without_the_content(tmp_path: Path) -> None:
    """Too much of it, none, more lines than one, no text; and a pipe is not waited for."""
    contents = {
        "large": b"s3cret" * 20_000, "empty": b"\n", "lines": b"s3cret\ns3cret\n", "bytes": b"s3cret\xff",
        "control": b"s3cret\x1b[0m",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    said = {}
    for name in (*contents, "pipe", "credentials"):
        with pytest.raises(OptionError) as refused:
            secretfile.read(name, tmp_path)
        said[name] = str(refused.value)
        assert not isinstance(refused.value, Absent)
        assert said[name].startswith(f"{name!r}: {tmp_path / name}: ")
        assert "s3cret" not in said[name]

    assert "more than 65536 bytes" in said["large"]
    assert "empty" in said["empty"]
    assert "more than one line" in said["lines"]
    assert "not UTF-8" in said["bytes"]
    assert "control characters" in said["control"]
    assert "not a regular file" in said["pipe"]
    assert "not a regular file" in said["credentials"]
    with pytest.raises(Absent, match="No such file or directory; expected a file that holds"):
        secretfile.read("none", tmp_path)


def test_who_else_may_read_a_file(tmp_path: Path) -> None:
    """The group is a stranger, unless we read by its right alone."""
    file = tmp_path / "file"
    file.touch()
    said = {}
    for mode in (0o600, 0o640, 0o644, 0o604, 0o660, 0o620):
        file.chmod(mode)
        said[mode] = secretfile.others_who_read(file)

    group = f"group {file.group()}"
    assert said == {
        0o600: None, 0o640: group, 0o644: "all users", 0o604: "all users", 0o660: group, 0o620: None,
    }  # fmt: skip
    assert secretfile.others_who_read(tmp_path / "none") is None
    if os.geteuid() == 0:
        os.chown(file, 0, 54321)
        file.chmod(0o640)
        assert secretfile.others_who_read(file) == "group 54321"
