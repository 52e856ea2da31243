"""How the backups are doing, in one sentence."""

from datetime import UTC, datetime

import pytest

from app.domain.alerts.alert import AlertKind
from app.domain.monitoring import Status
from app.domain.outlook import Outlook, by_database, judge
from app.domain.places.report import CopiesReport
from tests.unit.domain.backups.test_size_anomaly import entry


NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def status(**facts):
    """A service whose backups are made, whole and proven."""
    known = {
        "last_backup": entry(1),
        "last_backup_proven_at": NOW,
        "backups_count": 1,
        "size_bytes": 1,
        "raw_size_bytes": 1,
        "disk": None,
        "running": (),
        "next_due_at": NOW,
        "last_failures": (),
        "damaged": 0,
        "unknown": 0,
        "checks_failing": 0,
        "last_proven_at": NOW,
        "last_recovery_proven_at": None,
        "copies": CopiesReport.of(()),
        "pins": {},
    }
    return Status(**{**known, **facts})


def test_good_is_only_what_is_made_whole_and_proven():
    """Nothing is wrong."""
    assert judge(status(), []).outlook is Outlook.GOOD


@pytest.mark.parametrize(
    ("facts", "outlook", "word"),
    [
        ({"damaged": 1}, Outlook.BAD, "1 backup is damaged"),
        ({"damaged": 1, "checks_failing": 3}, Outlook.BAD, "4 backups are damaged"),
        ({"last_backup": None}, Outlook.BAD, "no backup"),
        ({"last_proven_at": None}, Outlook.DOUBTFUL, "restored"),
        ({"next_due_at": None}, Outlook.DOUBTFUL, "schedule"),
    ],
)
def test_what_is_wrong_is_said(facts, outlook, word):
    """With the word that somebody looks for."""
    verdict = judge(status(**facts), [])

    assert verdict.outlook is outlook
    assert word in verdict.text


def test_one_database_that_was_never_proven_is_doubtful():
    """The proof of another one says nothing of it."""
    known = by_database([entry(1)], {}, {})
    verdict = judge(status(), [], known)

    assert verdict.outlook is Outlook.DOUBTFUL
    assert known[0].database in verdict.text


def test_what_nobody_here_knows_is_doubtful_and_not_damaged():
    """A backup of another installation says nothing of ours; a failure comes before it."""
    verdict = judge(status(unknown=1), [])

    assert (verdict.outlook, "not known here" in verdict.text) == (Outlook.DOUBTFUL, True)
    assert "they are" in judge(status(unknown=2), []).text
    assert judge(status(unknown=1), [(AlertKind.FAILURE, "failed")]).text == "failed"


def test_backups_that_nobody_can_read_are_not_none():
    """Whoever has lost the server and the key reads that the key is lacking, not that a first backup is."""
    nothing = status(last_backup=None)

    assert (
        "2 backups are encrypted, and no identity here opens them"
        in judge(nothing, [], locked=2).text
    )
    assert "BACKSTAY_IDENTITY_FILE" in judge(nothing, [], locked=1).advice
    assert judge(status(), [], locked=1).outlook is Outlook.GOOD


def test_the_worst_comes_first():
    """Damage before a failure, a failure before a certificate that ends."""
    alerts = [(AlertKind.CERTIFICATE, "a certificate ends"), (AlertKind.FAILURE, "a backup failed")]

    assert "damaged" in judge(status(damaged=1), alerts).text
    assert judge(status(), alerts).text == "a backup failed"
    assert judge(status(), alerts[:1]).outlook is Outlook.DOUBTFUL


def test_each_database_has_its_newest_good_backup_and_its_own_proof():
    """A damaged backup is none; how long a restore takes is by what the last proof took."""
    newest = entry(3, databases=("shop",), raw_size=4000)
    older = entry(2, databases=("shop", "wiki"), raw_size=1000)
    broken = entry(4, databases=("wiki",))
    found = by_database(
        [broken, newest, older], {broken.backup_id: "cut"}, {older.backup_id: (NOW, 2.0)}
    )

    assert [(known.database, known.newest, known.proven) for known in found] == [
        ("shop", newest, older),
        ("wiki", older, older),
    ]
    assert [known.restore_seconds for known in found] == [8.0, 2.0]


@pytest.mark.parametrize(
    "part",
    [
        {"include_data": False},
        {"tables": ("a*",)},
        {"exclude_tables": ("b*",)},
        {"recovery_point": True},
    ],
)
def test_a_backup_of_parts_stands_in_for_none_of_all(part):
    """Whoever restores the newest good one gets all of it, and not what a restore has replaced."""
    whole, parts = entry(1, databases=("shop",)), entry(2, databases=("shop",), **part)
    (found,) = by_database([parts, whole], {}, {parts.backup_id: (NOW, 1.0)})
    (only,) = by_database([parts], {}, {parts.backup_id: (NOW, 1.0)})

    assert (found.newest, found.proven) == (whole, None)
    assert (only.newest, only.proven) == (parts, parts)


def test_without_a_proof_nobody_knows_how_long_a_restore_takes():
    """It is not guessed from the backup."""
    (found,) = by_database([entry(1, databases=("shop",))], {}, {})

    assert (found.proven, found.restore_seconds) == (None, None)
