"""docs/alerts.md is complete, and its examples are understood."""

import re

from apprise import Apprise

from app.config import Settings
from app.domain.alerts.alert import AlertKind
from app.notices.addresses import parse_alert_urls, parse_ping_urls
from app.notices.messenger import AppriseMessenger
from app.services.alerts.delivery import RetryPolicy
from tests.fixtures.pages import DOCS, rows, section


TEXT = (DOCS / "alerts.md").read_text()
SCHEMES = Settings.model_fields["alert_schemes"].get_default()


def test_every_kind_of_alert_is_explained():
    """In the order of the program, each with a sentence."""
    table = [row for row in rows(section(TEXT, "Kinds")) if len(row) == 2][2:]

    assert [row[0] for row in table] == [kind.value for kind in AlertKind]
    assert all(row[1].endswith(".") for row in table)


def test_examples_of_addresses_are_understood():
    """What people copy is an address, for us and for the library that sends to it."""
    examples = re.findall(r"^BACKSTAY_ALERT_URLS='(.*)'$", TEXT, re.MULTILINE)
    whole = [example for example in examples if "..." not in example]
    for address in whole:
        AppriseMessenger(parse_alert_urls(address, SCHEMES)).load()
    pings = re.findall(r"^BACKSTAY_PING_URLS='(.*)'$", TEXT, re.MULTILINE)

    assert len(whole) == 4
    assert {address.partition("://")[0] for address in whole} <= set(SCHEMES.split(","))
    assert [len(parse_ping_urls(ping)) for ping in pings] == [1, 2]


def test_every_scheme_that_is_allowed_is_known():
    """To the library that sends; it drops services from time to time."""
    known = {
        scheme
        for service in Apprise().details()["schemas"]
        for scheme in (*(service["protocols"] or ()), *(service["secure_protocols"] or ()))
    }

    assert set(SCHEMES.split(",")) <= known


def test_the_pauses_are_told_as_they_are():
    """Numbers in sentences are those of the code."""
    policy = RetryPolicy()

    assert list(policy.pauses) == [10, 60, 300, 1800, 7200]
    told = "after 10 seconds, 1 minute, 5 minutes, 30 minutes and 2 hours"
    assert told in section(TEXT, "Delivery")
    assert f"{policy.seconds:.0f} seconds" in section(TEXT, "Delivery")
