"""[web.dashboard]: who is served, and what must not be."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from jobd.cli import dev
from jobd.core.config import Config, load
from jobd.core.config_advice import warnings
from jobd.core.config_drawn import Outside, Secret
from jobd.core.config_places import Places
from jobd.core.config_web import DashboardConfig, TokenConfig, UserConfig
from jobd.core.errors import ConfigError, OptionError
from jobd.core.masking import DEFAULT_MASK
from jobd.core.passwords import (
    Scrypt,
    hashed,
    hashed_token,
    is_token,
    matches,
    parsed,
    read_scrypt,
    written,
)

HASH = "scrypt:32768:8:3:Z7Qqayh6Sd6LcEobz_Fujg:cOP851JoP6xlGd7f-w4j4eWLLr-MgvTqJJxi8iIp6Tc"
TOKEN = f"sha256:{'0' * 64}"
CHEAP = Scrypt(2**4, 8, 1, b"", b"")


def read(text: str, bind: str = "127.0.0.1:1") -> DashboardConfig:
    found = load(f'[web]\nbind = "{bind}"\n[web.dashboard]\n{text}', "f").web.dashboard
    assert found is not None
    return found


def problems(text: str, bind: str = "127.0.0.1:1") -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text, bind)
    assert not any(HASH[20:40] in each or "hunter2" in each for each in refused.value.problems)
    return [each.removeprefix("f:") for each in refused.value.problems]


def test_users_and_tokens_are_a_hash_or_a_table() -> None:
    found = read(
        f'users = {{ ops = "{HASH}", "eva@x.example" = {{ password = "{HASH}", role = "viewer" }} }}\n'
        f'tokens = {{ ci = "{TOKEN}", w = {{ token = "{TOKEN}", role = "viewer" }} }}\n'
        'hosts = ["Jobs.Example."]\nproxies = ["10.0.0.7", "fd00::/8", "unix"]\nsession_longest = "1h"'
    )
    assert found.users == {
        "ops": UserConfig(password=HASH, role="operator"),
        "eva@x.example": UserConfig(password=HASH, role="viewer"),
    }
    assert found.tokens == {
        "ci": TokenConfig(token=TOKEN, role="operator"),
        "w": TokenConfig(token=TOKEN, role="viewer"),
    }
    assert (found.hosts, found.proxies) == (["jobs.example"], ["10.0.0.7/32", "fd00::/8", "unix"])
    whole = Config(web=msgspec.structs.replace(Config().web, dashboard=found))
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Config) == whole


def test_hashes_may_be_elsewhere() -> None:
    world = Outside({"HASH": HASH}, lambda name: Secret(f"{HASH}\n", name))
    text = '[web.dashboard.users]\na = "${HASH}"\nb = { password_file = "b" }'
    found = load(text, "f", world).web.dashboard
    assert found is not None
    assert {each.password for each in found.users.values()} == {HASH}


def test_nobody_is_served_beyond_this_host_without_a_password() -> None:
    for bind in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "jobs.example:1", "localhost.example:1"):
        [problem] = problems("open = true", bind)
        assert "web.dashboard.open: true, and web.bind is" in problem
        assert "expected a loopback address" in problem
    for bind in ("127.0.0.1:1", "[::1]:1", "localhost:1", "127.8.8.8:1"):
        assert read("open = true", bind).open
    [problem] = problems("")
    assert "web.dashboard: neither users nor tokens; expected somebody who may log in" in problem
    [problem] = problems(f'open = true\nusers = {{ ops = "{HASH}" }}')
    assert "web.dashboard.open: true, with users or tokens; expected one of the two" in problem


def test_all_problems_are_told_and_no_hash_is_shown() -> None:
    found = problems(
        f"""
users = {{ "a b" = "{HASH}", plain = "hunter2", eva = {{ password = "{HASH}", role = "viwer" }}, no = {{}} }}
tokens = {{ ci = "{HASH}", x = 5 }}
hosts = ["http://x"]
proxies = ["10.0.0.1/8"]
session_idle = "48h"
session_longest = "1s"
mask = ["*password*", ""]
opne = true
"""
    )
    for part in (
        "web.dashboard.users: 'a b'; expected names",
        "web.dashboard.users.plain: no hashed password; expected what `jobd hash-password` prints",
        "web.dashboard.users.eva.role: 'viwer'; expected operator, viewer; did you mean 'viewer'?",
        "web.dashboard.users.no.password: not set",
        "web.dashboard.tokens.ci: no hashed token; expected what `jobd hash-password --token`",
        "web.dashboard.tokens.x: no hashed token",
        "web.dashboard.hosts: 'http://x'; expected the name of a host",
        "web.dashboard.proxies: '10.0.0.1/8'; expected the address or network",
        "web.dashboard.session_longest: '1s'; expected at least 60s",
        "web.dashboard.session_idle: '48h'; expected at most session_longest",
        "web.dashboard.mask: ''; expected a pattern of field names",
        "web.dashboard.opne: unknown key; expected",
    ):
        assert [part in each for each in found].count(True) == 1, part
    assert len(found) == 12


def test_what_is_masked_is_a_list_of_patterns() -> None:
    who = f'users = {{ ops = "{HASH}" }}\n'
    assert read(who).mask == list(DEFAULT_MASK)
    assert read(f"{who}mask = []").mask == []
    assert read(f'{who}mask = ["IBAN", "x-*", "IBAN"]').mask == ["IBAN", "x-*"]
    for wrong, why in (
        ('"*password*"', "expected a list, as in ['*password*', 'iban']"),
        ("[1]", "1; expected a pattern"),
        (f'["{"x" * 101}"]', "1 to 100 characters"),
        ('["a\\nb"]', "expected a pattern"),
        (str([f"p{n}" for n in range(101)]), "101 patterns; expected at most 100"),
    ):
        [problem] = problems(f"{who}mask = {wrong}")
        assert "web.dashboard.mask: " in problem
        assert why in problem


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scrypt:16:8:1:c2FsdHNhbHQ:" + "A" * 43, "too cheap"),
        ("scrypt:32768:1:1:c2FsdHNhbHQ:" + "A" * 43, "too cheap"),
        ("scrypt:32769:8:1:c2FsdHNhbHQ:" + "A" * 43, "scrypt does not know"),
        ("scrypt:0:8:1:c2FsdHNhbHQ:" + "A" * 43, "too cheap"),
        ("scrypt:32768:8:0:c2FsdHNhbHQ:" + "A" * 43, "scrypt does not know"),
        ("scrypt:32768:8:99:c2FsdHNhbHQ:" + "A" * 43, "scrypt does not know"),
        ("scrypt:1048576:8:1:c2FsdHNhbHQ:" + "A" * 43, "256MiB"),
        (f"scrypt:{'9' * 5000}:8:1:c2FsdHNhbHQ:" + "A" * 43, "too high"),
        ("scrypt:32768:8:1:c2Fs:" + "A" * 43, "wrong length"),
        ("scrypt:32768:8:1:c2FsdHNhbHQ:AAAA", "wrong length"),
        ("scrypt:32768:8:1:c2FsdHNhbHQ:" + "!" * 43, "no base64url"),
        ("scrypt:32768:8:1:c2FsdHNhbHQ", "no whole hash"),
        ("scrypt:-1:8:1:c2FsdHNhbHQ:" + "A" * 43, "no whole hash"),
        ("$2b$12$abcdefghijklmnopqrstuv", "no hashed password"),
        (None, "no hashed password"),
    ],
)
def test_a_hash_that_protects_nothing_or_costs_too_much_is_refused(text: object, why: str) -> None:
    with pytest.raises(OptionError, match=why):
        read_scrypt(text)


def test_a_password_matches_itself_however_it_is_typed_and_nothing_else() -> None:
    held = hashed("caf\u00e9 \U0001f511", b"saltsalt", CHEAP)
    assert parsed(written(held)) == held
    assert matches("cafe\u0301 \U0001f511", held)
    for wrong in ("", "cafe \U0001f511", "caf\u00e9 \U0001f511 ", "x" * 5000, "\ud800"):
        assert not matches(wrong, held)
    assert hashed("a" * 9, b"saltsalt", CHEAP) != hashed("a" * 9, b"saltsalu", CHEAP)
    assert is_token("jobd_x", hashed_token("jobd_x"))
    assert not is_token("jobd_X", hashed_token("jobd_x"))


def test_what_goes_beyond_this_host_is_said() -> None:
    def said(text: str) -> list[str]:
        return warnings(load(text, "f"), Places("f"))

    beyond, users = (
        "[web]\nbind = '0.0.0.0:1'\n",
        f"[web.dashboard]\nusers = {{ ops = '{HASH}' }}\n",
    )
    assert said(beyond) == []  # health and metrics: nobody has asked for more
    [in_clear] = said(beyond + users)
    assert "passwords and sessions cross the network as they are" in in_clear
    assert said(f"{beyond}{users}proxies = ['10.0.0.1']") == []
    assert said("[web]\nbind = '127.0.0.1:1'\n" + users) == said("") == []


def test_dev_serves_an_open_dashboard_to_this_host_alone() -> None:
    for address, is_open in (("127.0.0.1:9180", True), ("0.0.0.0:9180", False)):
        dashboard = dev._config(Config(), "a:b", Path("/x"), address).web.dashboard
        assert dashboard == (DashboardConfig(open=True) if is_open else None)
