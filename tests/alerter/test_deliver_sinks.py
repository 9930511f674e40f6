"""What is sent to each kind of receiver, byte for byte; and signatures, by an independent library."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError
from support.notes import AT, a_note

from jobd import __version__
from jobd.alerter.sinks import pagerduty, slack, webhook
from jobd.alerter.sinks.post import shown
from jobd.core.alerts.notification import Instance
from jobd.core.alerts.signing import keys_of, signatures
from jobd.core.config import load
from jobd.core.config_alerts import SinkConfig
from jobd.core.errors import ConfigError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = AT / 1000 + 60


def sink(kind: str, **changes: str) -> SinkConfig:
    fields = {"name": "ops", "kind": kind, "url": "https://hooks.example/in", "secret": SECRET}
    return msgspec.convert(fields | changes, SinkConfig)


def test_a_webhook_is_what_its_documentation_says() -> None:
    [post] = webhook.posts(sink("webhook"), a_note(), NOW)

    assert post.body == (
        b'{"type":"jobd.alert.firing","timestamp":"2027-01-15T08:00:00.000Z","data":{'
        b'"id":"01a3185c-5000-7000-8000-000000000000","rule":"email backlog","kind":"backlog",'
        b'"severity":"warning","status":"firing","summary":"email: 1200 jobs wait; allowed are 1000",'
        b'"hint":"start more workers","instances":[{"of":"email","value":1200.0,"shown":"1200 jobs"}],'
        b'"host":null,"namespace":"t"}}'
    )
    assert post.headers[:4] == (
        ("content-type", "application/json"),
        ("user-agent", f"jobd/{__version__}"),
        ("webhook-id", "01a3185c-5000-7000-8000-000000000000"),
        ("webhook-timestamp", "1800000060"),
    )
    assert [name for name, _ in post.headers[4:]] == ["webhook-signature"]
    assert (post.method, post.url) == ("POST", "https://hooks.example/in")


def test_another_try_and_another_host_send_the_same_body_and_id() -> None:
    [first] = webhook.posts(sink("webhook"), a_note(), NOW)
    [second] = webhook.posts(sink("webhook"), a_note(), NOW + 500)
    assert (first.body, dict(first.headers)["webhook-id"]) == (second.body, dict(second.headers)["webhook-id"])  # fmt: skip
    assert dict(first.headers)["webhook-signature"] != dict(second.headers)["webhook-signature"]


@pytest.mark.parametrize("status", ["firing", "resolved", "repeated", "test"])
def test_an_independent_library_verifies_it(status: str) -> None:
    """By its own clock, so that the time of the try is checked too."""
    now = datetime.now(UTC).timestamp()
    [post] = webhook.posts(sink("webhook"), a_note(status=status, summary="ümläut ✓"), now)

    read = Webhook(SECRET).verify(post.body, dict(post.headers))

    assert read["type"] == f"jobd.alert.{status}"
    assert read["data"]["summary"] == "ümläut ✓"
    for wrong in (post.body + b" ", post.body.replace(b"1200", b"1201")):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(wrong, dict(post.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"x" * 24).decode()).verify(
            post.body, dict(post.headers)
        )


@given(
    key=st.binary(min_size=1, max_size=80), id_=st.uuids(), at=st.integers(1, 2**33), text=st.text()
)
def test_signatures_are_those_of_the_library(key: bytes, id_: object, at: int, text: str) -> None:
    body = text.encode("utf-8", "replace")
    when = datetime.fromtimestamp(at, UTC)
    theirs = Webhook(key).sign(str(id_), when, body.decode())
    secret = "whsec_" + base64.b64encode(key).decode()
    assert signatures(secret, id_=str(id_), at=at, body=body) == theirs
    assert signatures(secret.rstrip("="), id_=str(id_), at=at, body=body) == theirs


def test_a_plain_secret_is_its_bytes_and_one_that_is_base64_too_is_both() -> None:
    now = datetime.now(UTC).timestamp()
    [post] = webhook.posts(sink("webhook", secret="correct horse"), a_note(), now)
    assert Webhook(b"correct horse").verify(post.body, dict(post.headers))

    both = base64.b64encode(os.urandom(24)).decode()
    [post] = webhook.posts(sink("webhook", secret=both), a_note(), now)
    assert Webhook(both).verify(post.body, dict(post.headers))
    assert Webhook(both.encode()).verify(post.body, dict(post.headers))
    assert keys_of("short") == [b"short"]


@pytest.mark.parametrize("bad", ["", "whsec_", "whsec_!canary!", "whsec_ca na ry"])
def test_a_secret_that_cannot_be_used_is_refused_without_being_said(bad: str) -> None:
    with pytest.raises(ValueError, match="expected") as refused:
        keys_of(bad)
    assert "canary" not in str(refused.value)
    assert "ca na ry" not in str(refused.value)


def test_without_a_secret_it_is_not_signed() -> None:
    config = SinkConfig(name="ops", kind="webhook", url="https://hooks.example/in")
    [post] = webhook.posts(config, a_note(), NOW)
    assert "webhook-signature" not in dict(post.headers)
    assert "webhook-id" in dict(post.headers)


def test_slack_gets_text_and_blocks_without_markup_from_names() -> None:
    note = a_note(
        rule="<!channel> & co", summary="<https://evil.example|click>\n*now*", host="web1",
        hint="see <@U1>",
    )  # fmt: skip
    [post] = slack.posts(sink("slack"), note, NOW)

    assert json.loads(post.body) == {
        "text": "Firing: &lt;!channel&gt; &amp; co: &lt;https://evil.example|click&gt; *now*",
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": (
                ":rotating_light: *Firing: &lt;!channel&gt; &amp; co*\n"
                "&lt;https://evil.example|click&gt; *now*\n_see &lt;@U1&gt;_"
            )}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": (
                "namespace t · warning · backlog · host web1 · "
                "<!date^1800000000^{date_short_pretty} {time_secs}|2027-01-15T08:00:00.000Z>"
            )}]},
        ],
    }  # fmt: skip
    assert SECRET not in post.body.decode()


def test_slack_lists_several_instances_and_stays_within_its_limits() -> None:
    many = [Instance(of="&" * 99, value=1.0, shown="<" * 99) for _ in range(200)]
    note = a_note(instances=many, rule="&" * 999, summary="&" * 9999, hint="&" * 999)
    [post] = slack.posts(sink("slack"), note, NOW)
    text = json.loads(post.body)["blocks"][0]["text"]["text"]
    assert len(text) <= 3000
    two = [Instance(of=of, value=1.0, shown="5 jobs") for of in ("a", "b")]
    [post] = slack.posts(sink("slack"), a_note(status="resolved", instances=two), NOW)
    assert "• a: 5 jobs\n• b: 5 jobs" in json.loads(post.body)["blocks"][0]["text"]["text"]
    twelve = [Instance(of=f"q{n}", value=1.0, shown="5 jobs") for n in range(12)]
    [post] = slack.posts(sink("slack"), a_note(instances=twelve), NOW)
    assert "• and 2 more" in json.loads(post.body)["blocks"][0]["text"]["text"]


def test_pagerduty_opens_an_incident_for_each_instance() -> None:
    two = [Instance(of=of, value=2.0, shown="2 jobs") for of in ("a", "b")]
    posts = pagerduty.posts(sink("pagerduty", secret="R" * 32), a_note(instances=two), NOW)

    events = [json.loads(post.body) for post in posts]
    assert events[0] == {
        "routing_key": "R" * 32, "event_action": "trigger", "dedup_key": "jobd/t/email backlog//a",
        "client": "jobd",
        "payload": {
            "summary": "email backlog: a: email: 1200 jobs wait; allowed are 1000",
            "source": "jobd t", "severity": "warning", "timestamp": "2027-01-15T08:00:00.000Z",
            "component": "a", "group": "t", "class": "backlog",
            "custom_details": {
                "hint": "start more workers", "value": 2.0, "shown": "2 jobs", "id": a_note().id,
            },
        },
    }  # fmt: skip
    assert events[1]["dedup_key"] == "jobd/t/email backlog//b"


def test_pagerduty_closes_what_it_opened_whatever_else_fired_with_it() -> None:
    a, b = (Instance(of=of, value=2.0, shown="2 jobs") for of in "ab")
    opened = pagerduty.posts(sink("pagerduty"), a_note(1, instances=[a, b]), NOW)
    told_again = pagerduty.posts(sink("pagerduty"), a_note(2, instances=[b, a], status="repeated"), NOW)  # fmt: skip
    closed = pagerduty.posts(sink("pagerduty"), a_note(3, instances=[a], status="resolved"), NOW)

    keys = [[json.loads(post.body)["dedup_key"] for post in each] for each in (opened, told_again, closed)]  # fmt: skip
    assert keys[0] == keys[1][::-1]
    assert keys[2] == keys[0][:1]
    assert json.loads(closed[0].body)["event_action"] == "resolve"
    tests = pagerduty.posts(sink("pagerduty"), a_note(4, instances=[a], status="test"), NOW)
    assert json.loads(tests[0].body)["dedup_key"] not in keys[0]
    assert json.loads(tests[0].body)["payload"]["severity"] == "info"


def test_pagerduty_stays_within_its_limits_and_keys_differ() -> None:
    names = ["a/b", "a%2Fb", "x" * 300, "x" * 301, "a"]
    notes = [a_note(rule=rule, host=host, instances=[]) for rule in names for host in ("a", None)]
    events = [json.loads(pagerduty.posts(sink("pagerduty"), note, NOW)[0].body) for note in notes]
    keys = [event["dedup_key"] for event in events]
    assert len(set(keys)) == len(keys)
    assert all(len(key.encode()) <= 255 for key in keys)
    assert all(len(event["payload"]["summary"]) <= 1024 for event in events)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "https://user:canary@hooks.example:8443/canary?canary#canary",
            "https://hooks.example:8443",
        ),
        ("http://[::1]:80/canary", "http://[::1]:80"),
        ("https://x:canary/", "an unreadable address"),
        ("canary", "://?"),
    ],
)
def test_of_an_address_only_scheme_and_host_are_said(url: str, said: str) -> None:
    assert shown(url) == said
    assert "canary" not in repr(webhook.posts(sink("webhook", url=url), a_note(), NOW))


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        (f'secret = "whsec_!{SECRET}"', "sinks[0].secret: a text that begins with whsec_ and goes on with no base64"),
        ("timeout = 61", "sinks[0].timeout: 61; expected at most 60s"),
    ],
)  # fmt: skip
def test_what_no_sink_could_use_is_refused_when_it_is_read(setting: str, problem: str) -> None:
    text = f'[[alerts.sinks]]\nkind = "webhook"\nurl = "https://x.example"\n{setting}\n'
    with pytest.raises(ConfigError) as refused:
        load(text, "jobd.toml")
    assert problem in str(refused.value)
    assert SECRET not in str(refused.value)
