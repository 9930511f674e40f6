"""Addresses of Redis: each form, each wrong one, and what is never shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobd.core.config_drawn import drawn
from jobd.core.errors import OptionError
from jobd.core.redis_place import safe_url
from jobd.core.redis_urls import RedisUrl, TlsOptions, read_redis_url

SENTINEL = "redis+sentinel://10.0.0.1,10.0.0.2:26380/mymaster/3"


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("redis://", RedisUrl(scheme="redis", places=(("localhost", 6379),))),
        ("redis://h/2", RedisUrl(scheme="redis", places=(("h", 6379),), db=2)),
        (
            "redis://ann:p%40ss@h:1/?client_name=shop",
            RedisUrl(
                scheme="redis", places=(("h", 1),), username="ann", password="p@ss", client_name="shop"
            ),
        ),
        ("redis://:s@[::1]:7", RedisUrl(scheme="redis", places=(("::1", 7),), password="s")),
        ("unix:///run/r.sock?db=4", RedisUrl(scheme="unix", path="/run/r.sock", db=4)),
        (
            "unix://ann:s@/run/r.sock",
            RedisUrl(scheme="unix", path="/run/r.sock", username="ann", password="s"),
        ),
        (
            "unix:///r.sock?password=s&username=ann",
            RedisUrl(scheme="unix", path="/r.sock", username="ann", password="s"),
        ),
        (
            "rediss://h/0?ssl_ca_certs=/ca&ssl_check_hostname=no&ssl_min_version=TLSv1.3",
            RedisUrl(
                scheme="rediss", places=(("h", 6379),), is_encrypted=True,
                tls=TlsOptions(ca_certs="/ca", check_hostname=False, min_version="TLSv1.3"),
            ),
        ),
        (
            SENTINEL,
            RedisUrl(
                scheme="redis+sentinel", places=(("10.0.0.1", 26379), ("10.0.0.2", 26380)),
                service="mymaster", db=3,
            ),
        ),
        (
            "redis+sentinel://u:p%2F@[::1]:1,h/my%20svc?sentinel_password=q&tls=true&sentinel_tls=off",
            RedisUrl(
                scheme="redis+sentinel", places=(("::1", 1), ("h", 26379)), service="my svc",
                username="u", password="p/", sentinel_password="q", is_encrypted=True,
            ),
        ),
        (
            "redis+sentinel://h/s?sentinel_tls=true&ssl_certfile=/c&ssl_keyfile=/k",
            RedisUrl(
                scheme="redis+sentinel", places=(("h", 26379),), service="s",
                is_sentinel_encrypted=True, tls=TlsOptions(certfile="/c", keyfile="/k"),
            ),
        ),
    ],
)  # fmt: skip
def test_an_address_is_read(url: str, read: RedisUrl) -> None:
    """Every form, with what it leaves out."""
    assert read_redis_url(url) == read


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:6379", "no scheme; expected redis://"),
        ("rediss+sentinel://h/s", "did you mean 'redis+sentinel'"),
        ("redis+cluster://h", "is not served yet"),
        ("redis://h:x", "host or port cannot be read"),
        ("redis://:pa/ss@h", "write / ? # @ in a password as %2F"),
        ("redis://h/main", "database 'main'; expected a number"),
        ("redis://h/-1", "database '-1'"),
        ("redis://h/1?db=2", "db is given twice"),
        ("redis://h#x", "a part after #"),
        ("unix://run/r.sock", "as in unix:///run/redis.sock"),
        ("unix:///r.sock?bd=2", "option 'bd' is not known; expected some of"),
        ("redis://h?db=x", "db: 'x'; expected a whole number"),
        ("redis://h?socket_timeout=9", "Jobd(timeout=...)"),
        ("redis://h?retry_on_timeout=yes", "jobd itself repeats"),
        ("redis://h?protocol=3", "jobd's to choose"),
        ("redis://h?client_name=a&client_name=b", "given twice"),
        ("redis://u@h?username=v", "username is given twice"),
        ("redis://h?ssl_ca_certs=/ca", "expected rediss://"),
        ("rediss://h?ssl_cert_reqs=maybe", "expected none, optional, required"),
        ("rediss://h?ssl_check_hostname=perhaps", "expected true or false"),
        ("rediss://h?ssl_keyfile=/k", "without 'ssl_certfile'"),
        ("rediss://h?ssl_ca_crets=/k", "did you mean 'ssl_ca_certs'"),
        ("redis+sentinel://h", "no service"),
        ("redis+sentinel://h/", "no service"),
        ("redis+sentinel:///s", "host or port cannot be read"),
        ("redis+sentinel://h,/s", "host or port cannot be read"),
        ("redis+sentinel://h:99999/s", "host or port cannot be read"),
        ("redis+sentinel://h/s/x", "database 'x'"),
        ("redis+sentinel://h/s?ssl_ca_certs=/ca", "expected tls=true"),
        ("redis://h?sentinel_password=x", "'sentinel_password' is not known"),
    ],
)
def test_a_wrong_address_is_told_what_is_right(url: str, said: str) -> None:
    """Before anything is connected."""
    with pytest.raises(OptionError) as refused:
        read_redis_url(url)

    assert said in str(refused.value)


WRONG = [
    "CANARY://h", "CANARY", "redis://h/CANARY", "redis://h?db=CANARY", "redis://h?CANARY=1",
    "redis://h?CANARY=1&CANARY=2", "redis+sentinel://h/s/CANARY", "redis://h:CANARY", "CANARY://",
    "redis://h?health_check_interval=CANARY", "rediss://h?ssl_cert_reqs=CANARY", "redis://h#CANARY",
    "rediss://h?ssl_check_hostname=CANARY", "rediss://h?ssl_min_version=CANARY", "unix://CANARY",
    "redis+sentinel://h/s?tls=CANARY", "redis+sentinel://h,CANARY:x/s", "redis://h?db=1&db=CANARY",
]  # fmt: skip


@pytest.mark.parametrize("url", WRONG)
def test_nothing_is_quoted_of_an_address_that_was_drawn(url: str) -> None:
    """It may be a secret at the wrong place."""
    with pytest.raises(OptionError) as refused:
        read_redis_url(drawn(url, "'${URL}'"))

    assert "expected" in str(refused.value) or "drop one" in str(refused.value)
    assert "canary" not in str(refused.value).lower()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://h", "http://...; expected redis://"),
        ("s3cretPw77://h", "another scheme; expected redis://"),
        ("correct horse://h", "another scheme; expected redis://"),
        ("redis://h?password=ab&CANARY=1", "an option is not known; expected"),
        ("redis://h?password=ab&C=1&C=1", "an option is given twice; drop one"),
    ],
)
def test_a_scheme_is_named_that_looks_like_one(url: str, said: str) -> None:
    """And an option that cannot be a piece of a password."""
    with pytest.raises(OptionError) as refused:
        read_redis_url(url)

    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    "url", ["redis://h:0/0", "rediss://:secret@h:0", "redis+sentinel://a,b:0/s"]
)
def test_port_0_is_no_other_port(url: str) -> None:
    """Nobody listens there; what was meant is not known."""
    with pytest.raises(OptionError, match="port 0; expected one from 1 to 65535") as refused:
        read_redis_url(url)
    assert "secret" not in str(refused.value)
    with pytest.raises(OptionError, match=r"^the port; expected"):
        read_redis_url(drawn(url, "${URL}"))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://ann:secret@h:1/2", "redis://ann:***@h:1/2"),
        ("redis://h", "redis://h"),
        ("redis://h/0?password=sec%40ret", "redis://h/0?password=***"),
        ("unix:///r.sock?db=1&p%61ssword=secret", "unix:///r.sock?db=1&p%61ssword=***"),
        ("rediss://h?ssl_password=secret", "rediss://h?ssl_password=***"),
        (
            "redis+sentinel://:secret@a,b:1/s/0?sentinel_password=secret&db=0",
            "redis+sentinel://...",  # the database is given twice
        ),
        (
            "redis+sentinel://:secret@a,b:1/s/0?sentinel_password=secret&sentinel_username=ann",
            "redis+sentinel://:***@a,b:1/s/0?sentinel_password=***&sentinel_username=ann",
        ),
        ("redis://u:sec?ret@h", "redis://..."),
        ("secret", "..."),
    ],
)
def test_an_address_is_shown_without_its_passwords(url: str, shown: str) -> None:
    """All of them, the sentinels' too; of what cannot be read, nothing but the scheme."""
    assert safe_url(url) == shown


_CANARY = "cAnArY"
_PIECES = st.lists(
    st.sampled_from(
        ["redis://", "redis+sentinel://", "unix:///", "rediss://", "u", ":", "@", "/", "?", "#", "&", ",",
         "password=", "sentinel_password=", "ssl_password=", "db=1", "h", "%40", "=", "[", "0"]
    ),
    max_size=8,
)  # fmt: skip


@given(_PIECES, _PIECES)
def test_no_message_shows_a_password(before: list[str], after: list[str]) -> None:
    """Whatever an address looks like, the canary where a password stands is in no message."""
    first, last = "".join(before), "".join(after)
    url = first + _CANARY + last
    between = first.partition("://")[2]
    is_secret = (":" in between and "@" in last) or first.endswith(("?password=", "&ssl_password="))
    try:
        read_redis_url(url)
        said = ""
    except OptionError as error:
        said = str(error)

    if is_secret and "://" in first:
        assert _CANARY not in said
        assert _CANARY not in safe_url(url)
