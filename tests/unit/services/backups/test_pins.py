"""Pins on real files: what they keep, from whom, and when notes are damaged."""

import pytest

from app.documents.retention import PinFacts, PrintedPin
from app.errors import (
    BackupNotFoundError,
    BackupPinnedError,
    ChecksumMismatchError,
)


async def test_a_pinned_backup_is_deleted_by_nobody(backup_store):
    """Not by a prune, not by hand; unpinned it goes."""
    made = await backup_store.days(4)
    name = made[3].backup_id
    notes = await backup_store.pins.pin(name, "ann", " before\n the move ")
    pin = PrintedPin.find({name: notes.pin}, name)
    assert pin is not None
    assert pin.model_dump(mode="json") == {
        "at": backup_store.clock.now().isoformat(), "by": "ann", "reason": "before the move",
    }  # fmt: skip
    with pytest.raises(BackupPinnedError, match="ann: before the move"):
        backup_store.catalogue.delete(name)
    await backup_store.retention.prune()
    assert backup_store.ids() == [made[0].backup_id, made[1].backup_id, name]
    assert list(await backup_store.pins.read(backup_store.ids())) == [name]

    await backup_store.pins.unpin(name)
    await backup_store.retention.prune()
    assert name not in backup_store.ids()
    with pytest.raises(BackupNotFoundError):
        await backup_store.pins.pin(name, "ann")


async def test_a_backup_with_damaged_notes_may_be_pinned(backup_store):
    """So it stays, covers nothing, and is told of."""
    made = await backup_store.days(4)
    notes = backup_store.path / f"{made[3].file}.notes.json"
    notes.write_bytes(b"{")
    await backup_store.retention.prune()

    assert made[3].backup_id in backup_store.ids()
    pins = await backup_store.pins.read([made[3].backup_id])
    assert "may be pinned" in str(PinFacts.find(pins, made[3].backup_id))
    with pytest.raises(ChecksumMismatchError):
        backup_store.catalogue.delete(made[3].backup_id)
    assert notes.read_bytes() == b"{"
