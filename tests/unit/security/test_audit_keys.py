"""The keys of the audit, from the setting; those of the file are tried with the audit."""

import pytest

from app.errors import InvalidRequestError
from app.security.audit_keys import AuditKeys


NEW, OLD = "n" * 32, "o" * 32


def test_the_first_word_of_the_setting_seals_and_all_prove(tmp_path):
    """No file is made beside it."""
    seals = AuditKeys(f" {NEW}\n{OLD} ", tmp_path).load()
    old = AuditKeys(OLD, tmp_path).load()

    assert seals.key_id == AuditKeys(NEW, tmp_path).load().key_id
    assert seals.knows(old.key_id)
    assert not old.knows(seals.key_id)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [" ", "\t\n", "short", f"{NEW} short"])
def test_a_word_that_is_too_short_is_refused_and_not_shown(given, tmp_path):
    """As are blanks alone: no key is none."""
    with pytest.raises(InvalidRequestError, match="BACKSTAY_AUDIT_KEY: shorter than") as caught:
        AuditKeys(given, tmp_path).load()
    assert "short " not in str(caught.value)
    assert NEW not in f"{caught.value} {caught.value.hint}"
