"""The recovery sheet: what is on it, what is not, and that it can be printed anywhere."""

from datetime import UTC, datetime

import pytest

from app.age.x25519 import Identity
from app.documents.recovery_sheet import COLUMNS, recovery_sheet
from app.domain.keys import Signer


NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
PEOPLE = [Identity.new() for _ in range(2)]
RECIPIENTS = [str(person.recipient) for person in PEOPLE]
SIGNER = Signer("0123456789abcdef" * 2, "M" * 59 + "=", is_own=True)


@pytest.mark.parametrize("secrets", [[], [person.secret_text() for person in PEOPLE]])
def test_a_sheet_fits_on_paper(secrets):
    """80 columns of ASCII, one page, no blanks at the ends of lines."""
    lines = recovery_sheet(RECIPIENTS, SIGNER, secrets, NOON).split("\n")

    assert max(map(len, lines)) == COLUMNS
    assert all(line.isascii() and line == line.rstrip() for line in lines)
    assert len(lines) <= 66
    assert lines[1].endswith("printed 2026-07-01")


def test_a_sheet_says_what_is_needed():
    """For whom, by whom, where to look, and what to type."""
    text = recovery_sheet(RECIPIENTS, SIGNER, [], NOON)

    for part in (*RECIPIENTS, SIGNER.key, SIGNER.signer_id, "age -d -i key FILE | zcat | mariadb"):
        assert part in text
    assert text.count("kept where   ") == len(RECIPIENTS)
    assert not any(person.secret_text() in text for person in PEOPLE)


def test_a_sheet_with_identities_says_that_it_is_secret():
    """Before them; blank lines for where they are kept are left out."""
    secrets = [person.secret_text() for person in PEOPLE]
    text = recovery_sheet(RECIPIENTS, SIGNER, secrets, NOON)

    assert text.index("SECRET: ") < min(map(text.index, secrets))
    assert "____" not in text
