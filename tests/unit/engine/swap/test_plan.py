"""Swap plans: what brings back what another swap took away."""

from dataclasses import replace

import pytest

from app.domain.backups.manifest import ObjectEntry, ObjectKind
from app.domain.restores.journal import ForeignKey, ObjectSet, SchemaSwap
from app.engine.swap.plan import reversed_draft, unwanted_objects


def entry(kind: ObjectKind, name: str) -> ObjectEntry:
    """Describe an object."""
    return ObjectEntry(kind, name, "", valid=True, definer="", definition_sha256="")


VIEW, TRIGGER, EVENT = (
    entry(ObjectKind.VIEW, "x"),
    entry(ObjectKind.TRIGGER, "x"),
    entry(ObjectKind.EVENT, "y"),
)
KEY = ForeignKey("shop", "orders", "fk", "shop", "users", "FOREIGN KEY ...")
SWAP = SchemaSwap(
    target="shop",
    source="new",
    kept="old",
    incoming=("users", "more"),
    outgoing=("users", "gone"),
    wanted=ObjectSet("backup", (VIEW, EVENT), collation="utf8mb4_bin"),
    present=ObjectSet("shop", (VIEW, TRIGGER), charset="latin1", collation="latin1_bin"),
    kept_foreign_keys=(KEY,),
)


def test_an_undo_takes_its_tables_from_where_they_were_kept():
    """What came goes, what went comes back, and what stayed stays."""
    draft = reversed_draft(SWAP, "older")

    assert (draft.source, draft.target, draft.kept) == ("old", "shop", "older")
    assert draft.leaving == {"users", "more", "gone"}
    assert draft.foreign_keys == (KEY,)
    assert not draft.whole


def test_an_undo_drops_the_objects_that_came():
    """Those that were there before are wanted again; others made since are not its business."""
    draft = reversed_draft(SWAP, "older")

    assert draft.wanted.entries == (VIEW, TRIGGER)
    assert draft.unwanted == (EVENT,)


@pytest.mark.parametrize("swap", [replace(SWAP, whole=True), replace(SWAP, removed=True)])
def test_an_undo_of_everything_brings_the_default_back(swap):
    """Of a database that was meant as a whole, or that must be made again."""
    draft = reversed_draft(swap, "older")

    assert (draft.wanted.charset, draft.wanted.collation) == ("latin1", "latin1_bin")


def test_an_undo_of_some_tables_leaves_the_default():
    """It may have been changed since, by others."""
    draft = reversed_draft(SWAP, "older")

    assert (draft.wanted.charset, draft.wanted.collation) == ("", "")


def test_what_made_a_database_is_undone_by_removing_it():
    """And only that."""
    assert reversed_draft(replace(SWAP, created=True), "older").removed
    assert not reversed_draft(SWAP, "older").removed


def test_what_is_present_and_not_wanted_is_unwanted():
    """By kind and name; another definition is still the same object."""
    other = replace(VIEW, definition_sha256="9")

    assert unwanted_objects([VIEW, TRIGGER, EVENT], [other]) == (TRIGGER, EVENT)
    assert unwanted_objects([VIEW], [VIEW]) == ()
    assert unwanted_objects([], [VIEW]) == ()
    assert unwanted_objects([EVENT, VIEW], []) == (EVENT, VIEW)
