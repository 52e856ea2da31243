"""How values look on pages."""

from datetime import UTC, datetime, timedelta

import pytest

from app.web.filters import (
    action_words,
    changes as changes_of,
    foreign,
    made_at,
    moment,
    number,
    opening,
    plural,
    size,
    span,
    told,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_900, "99.9 kB"), (123_456, "123.5 kB"),
     (1_500_000_000, "1.5 GB"), (10**20, "100000.0 PB"), (None, "-")],
)  # fmt: skip
def test_sizes(count, text):
    """Decimal units, as disks are sold."""
    assert size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (0.42, "0.4 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_000, "1 d 1 h"),
     (timedelta(days=2, seconds=5), "2 d"), (None, "-")],
)  # fmt: skip
def test_spans(seconds, text):
    """The two largest units, without a gap between them."""
    assert span(seconds) == text


def test_counts_have_their_noun():
    """One is singular, none is not."""
    assert [plural(count, "backup") for count in (0, 1, 1234)] == [
        "0 backups",
        "1 backup",
        "1\u202f234 backups",
    ]
    assert plural(2, "is", "are") == "2 are"
    assert number(None) == "-"


def test_instants_are_of_utc_until_a_script_knows_better():
    """The machine's form is beside that for people."""
    at = datetime(2026, 11, 28, 20, 5, 7, tzinfo=UTC)

    assert 'datetime="2026-11-28T20:05:07+00:00"' in moment(at)
    assert "2026-11-28 20:05 UTC</time>" in moment(at)
    assert moment(None) == "-"


@pytest.mark.parametrize(
    ("text", "shown"),
    [("<b>", "&lt;b&gt;"), ("a\u202eb", "a\\u202eb"), ("a\x00b", "a\\u0000b"), ("a\nb", "a\\u000ab"),
     ("\U0001f642", "\U0001f642"), ("\ud800", "\\ud800"), ("\uffff", "\\uffff"), ("\ue000", "\\ue000"), ("{{7*7}}", "{{7*7}}")],
)  # fmt: skip
def test_names_of_others_hide_nothing(text, shown):
    """Markup is text, and what has no glyph is shown by its number."""
    assert shown in foreign(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no backup yet", "No backup yet"),
        ("run_1 holds shop", "run_1 holds shop"),
        ("1 backup is damaged", "1 backup is damaged"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_letter_and_an_identifier_stays(text, shown):
    """Whoever copies it looks for it as it is."""
    assert opening(text) == shown


def test_instants_in_a_sentence_are_shown_as_all_others_are():
    """Names beside them stay text, and so does what only looks like one."""
    shown = told("locked by <b> until 2026-12-07 03:37 UTC; at 2026-12-01 01:02:03 UTC")

    assert shown.count("<time ") == 2
    assert f"locked by &lt;b&gt; until {moment(datetime(2026, 12, 7, 3, 37, tzinfo=UTC))}" in shown
    assert moment(datetime(2026, 12, 1, 1, 2, 3, tzinfo=UTC), "long") in shown
    assert "2026-02-31 03:37 UTC</bdi>" in told("of 2026-02-31 03:37 UTC")


def test_a_backup_in_a_sentence_is_told_by_its_moment():
    """Its id stays within reach; that of none, and the name of a file, are left as they are."""
    known = "backup_6b0d54e1ed9ba"
    made = moment(datetime(2026, 11, 30, 10, 50, tzinfo=UTC)).partition(' title="')[0]
    shown = told(f"Backup {known} is damaged")

    assert "<bdi" in shown
    assert f'Backup <span title="{known}">of <time' in shown
    assert made.partition("T10")[0] in shown
    assert shown.endswith("</time></span> is damaged</bdi>")
    for text in ("backup backup_ffffffffffffe", f"backup x_{known}", f"{known}.sql", "no backup"):
        assert "<span" not in told(text)


def test_changes_are_lines_in_which_names_stay_apart():
    """What was not there, what is empty and what others chose are told from each other."""
    changes = {"cron": [None, "30 2 * * *"], "note\u202e": ["", {"days": 7}], "made": "x"}

    assert changes_of(changes).splitlines() == [
        "\u2068cron\u2069: nothing \u2192 \u206830 2 * * *\u2069",
        '\u2068note\\u202e\u2069: empty \u2192 \u2068{"days": 7}\u2069',
        "\u2068made\u2069: \u2068x\u2069",
    ]


def test_what_somebody_did_is_told_in_the_words_of_the_pages():
    """The operations keep their names in the API."""
    assert action_words("create_backup") == "create backup"
    assert action_words("rehearse_restore") == "dry run or drill"


def test_a_backup_is_told_by_when_it_was_made():
    """What is the id of none has no such moment."""
    assert made_at("backup_6b0d54e1ed9ba") == datetime(2026, 11, 30, 10, 50, 9, 973242, UTC)
    assert made_at("latest") is None
    assert made_at("") is None
