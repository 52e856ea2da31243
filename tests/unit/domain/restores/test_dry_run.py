"""Dry runs and drills: what is kept of them, and what they find."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from app.domain.restores.dry_run import Compatibility
from app.domain.restores.proofs import Proof, decode_proofs, encode_proofs, proven_at


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
PROOF = Proof(
    at=NOON,
    by="drill",
    success=True,
    seconds=1.5,
    server="mariadb at db.example:3306",
    tables=3,
    rows=8,
    raw_size=900,
    whole=True,
)
FINE = Compatibility((), (), (), (), "users", 1 << 20, 1 << 24)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
COUNTS = st.integers(0, 2**63)
PROOFS = st.lists(
    st.builds(
        Proof,
        at=st.datetimes(timezones=st.just(UTC)),
        by=TEXTS,
        success=st.booleans(),
        seconds=st.floats(0, 1e9),
        server=TEXTS,
        tables=COUNTS,
        rows=COUNTS,
        raw_size=COUNTS,
        whole=st.booleans(),
        error=TEXTS,
    ),
    max_size=4,
).map(tuple)


@given(PROOFS)
def test_proofs_come_back(proofs):
    """Writing and reading lose nothing, and keep the order."""
    assert decode_proofs(encode_proofs(proofs)) == proofs


@given(st.integers(0, len(encode_proofs((PROOF,))) - 3))
def test_torn_proofs_count_as_none(length):
    """Half a list proves nothing."""
    assert decode_proofs(encode_proofs((PROOF,))[:length]) == ()


@pytest.mark.parametrize("data", [b"", b"\xff", b"null", b"{}", b'[{"at": 1}]', b"[[]]"])
def test_damaged_proofs_count_as_none(data):
    """They are results, not data: a drill makes new ones."""
    assert decode_proofs(data) == ()


def test_a_backup_is_proven_by_all_of_it_restored_and_equal():
    """Neither a failure nor a restore of some tables says that the backup can be restored."""
    later = [PROOF.at + timedelta(days=days) for days in range(4)]
    failed = replace(PROOF, at=later[2], success=False, error="proof-failed")
    partial = replace(PROOF, at=later[3], whole=False)

    assert proven_at(()) is None
    assert proven_at((partial, failed)) is None
    assert proven_at((partial, failed, PROOF)) == NOON


def test_the_latest_proof_counts_whatever_the_order():
    """A clock that went back makes no proof older than another."""
    later = replace(PROOF, at=NOON + timedelta(hours=1))

    assert proven_at((PROOF, later)) == proven_at((later, PROOF)) == later.at


def test_a_server_that_lacks_nothing_has_no_findings():
    """Not even where the packet fits exactly."""
    assert FINE.findings == []
    assert replace(FINE, packet_needed=FINE.packet_allowed).findings == []


def test_every_kind_of_finding_is_told():
    """One run tells all that is missing, the packet with the table that needs it."""
    bad = Compatibility(
        missing_engines=("ROCKSDB", "CONNECT"),
        missing_collations=("utf8mb4_0900_ai_ci",),
        missing_features=("no sequences here",),
        clashing_names=("`A` and `a` are one name here",),
        largest_table="it's",
        packet_needed=101,
        packet_allowed=100,
    )

    assert bad.findings == [
        "engine ROCKSDB is not on this server",
        "engine CONNECT is not on this server",
        "collation utf8mb4_0900_ai_ci is not on this server",
        'table "it\'s" needs max_allowed_packet of at least 101, it is 100',
        "no sequences here",
        "`A` and `a` are one name here",
    ]
