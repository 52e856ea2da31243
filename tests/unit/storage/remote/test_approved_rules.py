"""Which rules of a store somebody has let delete."""

from dataclasses import replace

from app.domain.backups.retention import RetentionPolicy
from app.domain.store_trial import StoreFacts
from app.storage.remote.approved_rules import ApprovedRules


FACTS = StoreFacts(
    "offsite", "s3", "s3://a", append_only=False, object_lock_days=0, retention=RetentionPolicy(7)
)


def test_rules_are_known_as_long_as_they_and_their_place_are_the_same(tmp_path):
    """Another number, another bucket or another store is nothing that anybody has seen."""
    approved = ApprovedRules(tmp_path / "state")
    assert not approved.are_known(FACTS)
    approved.add(FACTS)

    assert ApprovedRules(tmp_path / "state").are_known(FACTS)
    assert not approved.are_known(replace(FACTS, retention=RetentionPolicy(6)))
    assert not approved.are_known(replace(FACTS, place="s3://b"))
    assert not approved.are_known(replace(FACTS, name="other"))


def test_a_note_that_nobody_understands_approves_nothing(tmp_path):
    """Rather an alert too many than a backup too few."""
    approved = ApprovedRules(tmp_path)
    approved.add(FACTS)
    (tmp_path / "store-rules" / "offsite.json").write_text("{")

    assert not approved.are_known(FACTS)
