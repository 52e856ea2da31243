"""Journals: what is written is read, and a damaged one is never half believed."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings, strategies as st

from app.domain.backups.manifest import ObjectEntry, ObjectKind, StatementKind
from app.domain.ids import BackupId
from app.domain.restores.journal import (
    ForeignKey,
    Journal,
    ObjectSet,
    RestoreId,
    RestoreKind,
    RestorePhase,
    SavedStatement,
    SchemaSwap,
    TableMark,
    decode_journal,
    encode_journal,
)
from app.errors import JournalDamagedError
from tests.fixtures.series import series


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
# JSON has no surrogates alone, and the server's names are UTF-8.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
NAMES = st.lists(TEXTS, max_size=3).map(tuple)
OBJECTS = st.lists(
    st.builds(ObjectEntry, st.sampled_from(ObjectKind), TEXTS, TEXTS, st.booleans(), TEXTS, TEXTS),
    max_size=2,
).map(tuple)
STATEMENTS = st.lists(
    st.builds(SavedStatement, st.sampled_from(StatementKind), TEXTS, TEXTS), max_size=2
).map(tuple)
SETS = st.builds(ObjectSet, TEXTS, OBJECTS, STATEMENTS, OBJECTS, TEXTS, TEXTS, TEXTS)
KEYS = st.lists(st.builds(ForeignKey, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS), max_size=2).map(
    tuple
)
IDENTITIES = st.dictionaries(TEXTS, TEXTS, max_size=2)
MARKS = st.dictionaries(
    TEXTS, st.builds(TableMark, TEXTS, TEXTS, st.integers(min_value=0), TEXTS), max_size=2
)
SWAPS = st.builds(
    SchemaSwap,
    target=TEXTS,
    source=TEXTS,
    kept=TEXTS,
    incoming=NAMES,
    outgoing=NAMES,
    wanted=SETS,
    present=SETS,
    foreign_keys=KEYS,
    kept_foreign_keys=KEYS,
    whole=st.booleans(),
    created=st.booleans(),
    removed=st.booleans(),
    incoming_ids=IDENTITIES,
    outgoing_ids=IDENTITIES,
    kept_marks=MARKS,
)
INSTANTS = st.datetimes(timezones=st.just(UTC))
JOURNALS = st.builds(
    Journal,
    restore_id=TEXTS.map(RestoreId),
    kind=st.sampled_from(RestoreKind),
    backup_id=TEXTS.map(BackupId),
    server=TEXTS,
    began_at=INSTANTS,
    phase=st.sampled_from(RestorePhase),
    swaps=st.lists(SWAPS, max_size=2).map(tuple),
    logged=st.booleans(),
    fenced=st.booleans(),
    recovery_point=TEXTS,
    keep_until=st.none() | INSTANTS,
    undoes=TEXTS,
)
JOURNAL = Journal(
    RestoreId("restore_0123456789ab"),
    RestoreKind.RESTORE,
    BackupId("backup_65ba1f2f3d4e5"),
    "db.example:3306",
    NOON,
    RestorePhase.SWAPPING,
    (SchemaSwap("shop", "shop__bk_new_0123456789ab", "shop__bk_old_0123456789ab", ("users",)),),
)


@settings(max_examples=series(20, 400))
@given(JOURNALS)
def test_a_journal_comes_back(journal):
    """Writing and reading lose nothing, whatever the names."""
    assert decode_journal(encode_journal(journal), source="x") == journal


def test_a_journal_is_json_for_people():
    """Whoever must put things right by hand can read which schemas are whose."""
    data = encode_journal(JOURNAL)

    assert data.endswith(b"}\n")
    assert b'\n "phase": "swapping"' in data.replace(b'":"', b'": "')
    assert json.loads(data)["swaps"][0]["source"] == "shop__bk_new_0123456789ab"


def test_a_journal_names_the_databases_that_it_changes():
    """In the order of its swaps."""
    assert JOURNAL.targets == ("shop",)


@given(st.integers(0, len(encode_journal(JOURNAL)) - 3))
def test_a_torn_journal_is_refused_by_name(length):
    """No beginning of a journal is taken for all of it."""
    with pytest.raises(JournalDamagedError, match=r"^restore_x\.json: "):
        decode_journal(encode_journal(JOURNAL)[:length], source="restore_x.json")


@given(st.binary(max_size=200))
def test_noise_is_no_journal(data):
    """Bytes of any kind are refused with an error of ours."""
    with pytest.raises(JournalDamagedError, match=r"^x: "):
        decode_journal(data, source="x")


def _unsealed(journal):
    """Return the facts of a journal, as a release without seals wrote them."""
    facts = json.loads(encode_journal(journal))
    del facts["seal"]
    return facts


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("phase", "dancing"),
        ("kind", "guess"),
        ("began_at", "yesterday"),
        ("swaps", [{"target": "shop"}]),
        ("keep_until", 1e300),
        ("logged", "perhaps"),
    ],
)
def test_a_journal_of_another_version_is_refused(key, value):
    """What this version does not know is not guessed; the message says where it is, the hint what to do."""
    facts = _unsealed(JOURNAL)
    facts[key] = value

    with pytest.raises(JournalDamagedError, match=f"^x: {key}") as caught:
        decode_journal(json.dumps(facts).encode(), source="x")

    assert "version" in (caught.value.hint or "")


@pytest.mark.parametrize("key", ["recovery_id", "phase", "swaps", "server"])
def test_a_journal_without_a_fact_is_refused(key):
    """Nothing that a restore needs has a default."""
    facts = _unsealed(JOURNAL)
    del facts[key]

    with pytest.raises(JournalDamagedError, match=f"^x: {key}: "):
        decode_journal(json.dumps(facts).encode(), source="x")


def test_no_statement_of_a_user_is_in_the_message():
    """What is damaged is named, not shown."""
    data = encode_journal(JOURNAL).replace(b"swapping", b"s3cret")

    with pytest.raises(JournalDamagedError) as caught:
        decode_journal(data, source="x")

    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_a_journal_of_an_older_version_knows_no_identities():
    """It is read, and names tell where its tables are."""
    journal = Journal(
        RestoreId("restore_0123456789ab"),
        RestoreKind.RESTORE,
        BackupId("backup_0123456789abc"),
        "localhost:3306",
        NOON,
        RestorePhase.SWAPPING,
        (SchemaSwap("shop", "new", "old", ("a",), ("a",), incoming_ids={"a": "7"}),),
        renamed_at=5,
    )
    old = _unsealed(journal)
    del old["renamed_at"]
    for name in ("incoming_ids", "outgoing_ids", "kept_marks"):
        del old["swaps"][0][name]

    read = decode_journal(json.dumps(old).encode(), source="journal")

    assert (read.renamed_at, read.swaps[0].incoming_ids, read.swaps[0].kept_marks) == (0, {}, {})
