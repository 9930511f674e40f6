"""What is a name, and what a bad one is told."""

from __future__ import annotations

import re

import pytest

from jobd.core.errors import OptionError
from jobd.core.names import check_name, is_name
from jobd.web.api.kinds import NAME_PATTERN

GOOD = ("a", "a.b", "...", ".a", "..a", "a..", "A-Z_0:9", "x" * 128)
BAD = (".", "..", "", "a b", "ä", "a/b", "a\n", ".\n", "..\n", "x" * 129)


def test_a_name_is_one_wherever_it_is_read() -> None:
    for name in GOOD:
        assert check_name(name, what="x") == name
        assert is_name(name.encode())
        assert re.search(NAME_PATTERN, name)
    for name in BAD:
        with pytest.raises(OptionError, match=r"^x: .*; expected 1 to 128 characters"):
            check_name(name, what="x")
        assert not is_name(name.encode())


@pytest.mark.parametrize("name", [".", ".."])
def test_what_leads_elsewhere_in_a_path_is_no_name_and_is_told_so(name: str) -> None:
    with pytest.raises(OptionError) as refused:
        check_name(name, what="queue")
    assert ": -, and neither . nor ..; choose such a name" in str(refused.value)
