"""Addresses of alerts and pings, read from settings."""

import traceback

import pytest

from app.config import Settings
from app.errors import InvalidRequestError
from app.notices.addresses import Address, parse_alert_urls, parse_ping_urls


SCHEMES = Settings.model_fields["alert_schemes"].get_default()


def test_addresses_are_read_in_order():
    """Separated by any white space, each for all kinds or for those before the equals sign."""
    text = (
        "mailto://u:p@mail.example.com?to=a@b.cc  disk,failure=slack://a/b/c/#x\n\tjson://h/?a=b=c"
    )

    assert parse_alert_urls(text, SCHEMES) == (
        Address("mailto://mail.example.com", "mailto://u:p@mail.example.com?to=a@b.cc"),
        Address("slack://...", "slack://a/b/c/#x", frozenset({"disk", "failure"})),
        Address("json://h", "json://h/?a=b=c"),
    )
    assert parse_alert_urls("  \n ", SCHEMES) == ()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mailto://user:secret@Mail.Example.COM:25?from=secret@b.cc", "mailto://mail.example.com"),
        ("MAILTOS://user:secret@[::1]:25", "mailtos://[::1]"),
        ("json://secret%40more@host/secret", "json://host"),
        ("mmosts://host:8065/secret", "mmosts://host"),
        ("slack://secret/secret/secret/#general", "slack://..."),
        ("discord://123/secret", "discord://..."),
        ("workflows://example.com:443/secret/secret", "workflows://example.com"),
        ("rockets://secret/secret@host/#room", "rockets://..."),
        ("json://user:secret/secret@host/path", "json://..."),
        ("json://secr_et/", "json://..."),
        (f"json://{'secret' * 40}/", "json://..."),
    ],
)
def test_a_name_tells_no_secret(url, name):
    """Only the scheme, and the host where there surely is one."""
    (address,) = parse_alert_urls(url, SCHEMES)

    assert address.name == name
    assert "secret" not in repr(address)


def test_addresses_that_look_alike_have_numbers():
    """A delivery is always of one of them."""
    names = [
        url.name for url in parse_alert_urls("json://h/a json://h/b json://i/ json://h", SCHEMES)
    ]

    assert names == ["json://h", "json://h (2)", "json://i", "json://h (3)"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("syslog://secret", "the scheme 'syslog' is not allowed"),
        ("json://fine https://hooks.slack.com/secret", "the scheme 'https' is not allowed"),
        ("json://fine user:secret", "address 2 is no URL"),
        ("json://", "address 1 is no URL"),
        ("fail,disk=json://secret", "address 1 is for a kind that there is not"),
        ("json://u:secret@secret@host/", "address 1 has more than one @ before its host"),
    ],
)
def test_what_cannot_be_sent_to_is_refused(text, why):
    """By the name of the variable and of the scheme, and without anything of the address."""
    with pytest.raises(InvalidRequestError, match=why) as caught:
        parse_alert_urls(text, SCHEMES)

    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "BACKSTAY_ALERT_URLS" in shown
    assert "secret" not in shown


def test_the_schemes_are_a_setting():
    """White space and capitals mean nothing."""
    assert parse_alert_urls("ntfy://topic", " NTFY , json")[0].name == "ntfy://..."
    with pytest.raises(InvalidRequestError, match="'json'"):
        parse_alert_urls("json://h", "")


def test_pings_go_by_http_only():
    """For one schedule or for all of them."""
    (everyones, other) = parse_ping_urls(
        "https://hc.example.com/secret nightly=http://h:8000/secret?x=y"
    )

    assert (everyones.name, everyones.tags) == ("https://hc.example.com", frozenset())
    assert (other.name, other.tags) == ("http://h", frozenset({"nightly"}))
    with pytest.raises(InvalidRequestError, match="BACKSTAY_PING_URLS: the scheme 'ftp'"):
        parse_ping_urls("ftp://h/secret")
