"""Backups in a store, whatever call of it fails, and wherever the process dies: none that does not restore."""

import asyncio
import os
from contextlib import suppress
from datetime import timedelta
from threading import Event

import pytest

from app.archive.catalogue.catalogue import Catalogue
from app.archive.file.copying import copy_archive
from app.archive.file.writer import ArchiveWriter
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import Codec
from app.errors import (
    AppError,
    BackupInUseError,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from app.storage import layout
from app.storage.layout import BackupName
from app.storage.local import LocalDirectory
from app.storage.remote.directory import StoreDirectory
from app.storage.remote.local import LocalStore
from tests.fixtures.archives import TABLES, backup_id_of, draft_of, fill, make_backup, write_backup
from tests.fixtures.dying_store import Died, DyingStore


ROWS = sum(TABLES.values())
# More calls than any of these needs; each ends when nothing failed any more.
MOST_CALLS = 60


@pytest.fixture
def place(tmp_path):
    """Where objects lie."""
    path = tmp_path / "store"
    path.mkdir()
    return path


@pytest.fixture
def directory_of(place, tmp_path):
    """Makes the directory of a store, as another process would."""

    def make(store=None, owner="here", **options):
        locks = LocalDirectory(tmp_path / "locks")
        return StoreDirectory(
            "offsite", str(place), store or LocalStore(place), locks, owner=owner, **options
        )

    return make


def written(directory):
    directory.prepare()
    return asyncio.run(write_backup(directory))


def verified(directory):
    """Return the ids of the backups that are listed; each was read to its last row."""
    catalogue = Catalogue(directory)
    survey = catalogue.survey()
    assert survey.problems == ()
    assert survey.orphans == ()
    for entry in survey.entries:
        with catalogue.open(entry.backup_id) as reader:
            report = asyncio.run(reader.verify(VerifyLevel.CONTENT))
        assert report.rows == ROWS
    return [entry.backup_id for entry in survey.entries]


def names_in(place):
    return {path.name for path in place.iterdir()} - {layout.METADATA}


def require_swept(directory, place, listed):
    """Sweep, and see that only what is listed is there; files without a name of theirs go by age."""
    for path in place.glob(".upload-*"):
        os.utime(path, (0, 0))
    Catalogue(directory).sweep()
    Catalogue(directory).sweep_uploads()
    left = names_in(place)
    assert all(name.startswith("backup_") for name in left), left
    assert len(left) == 2 * len(listed), left
    assert verified(directory) == listed


@pytest.mark.parametrize("kind", ["dies", "before", "after"])
def test_a_backup_is_whole_or_not_listed_whichever_call_fails(kind, place, directory_of):
    """And nothing of one that is not listed is left after the sweep."""
    for call in range(1, MOST_CALLS):
        store = DyingStore(LocalStore(place))
        made = False
        with suppress(Died, AppError):
            written(directory_of(store.fail_at(call, kind)))
            made = True
        listed = verified(directory_of())
        assert listed == [backup_id_of(0)] or not made
        require_swept(directory_of(), place, listed)
        for name in names_in(place) | {layout.METADATA}:
            (place / name).unlink(missing_ok=True)
        if store.calls < call:
            assert call > 10
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("kind", ["dies", "before", "after"])
def test_a_deletion_is_done_or_not_whichever_call_fails(kind, place, directory_of):
    """The manifest goes first, so what is listed meanwhile is whole."""
    for call in range(1, MOST_CALLS):
        written(directory_of())
        store = DyingStore(LocalStore(place))
        with suppress(Died, AppError):
            Catalogue(directory_of(store.fail_at(call, kind))).delete(backup_id_of(0))
        require_swept(directory_of(), place, verified(directory_of()))
        for name in names_in(place):
            (place / name).unlink()
        if store.calls < call:
            assert call > 5
            return
    pytest.fail("it never ended")


@pytest.mark.parametrize("kind", ["dies", "before", "after"])
def test_a_copy_is_whole_or_none_whichever_call_fails(kind, place, directory_of, tmp_path):
    """Its source is not touched."""
    catalogue, manifest = make_backup(tmp_path / "backups")
    for call in range(1, MOST_CALLS):
        store = DyingStore(LocalStore(place))
        directory = directory_of(store.fail_at(call, kind))
        directory.prepare()
        made = False
        with catalogue.stored(manifest.backup_id) as archive, suppress(Died, AppError):
            copy_archive(archive, directory, stop=Event())
            made = True
        listed = verified(directory_of())
        assert listed == [manifest.backup_id] or not made
        require_swept(directory_of(), place, listed)
        for name in names_in(place) | {layout.METADATA}:
            (place / name).unlink(missing_ok=True)
        if store.calls < call:
            assert call > 10
            return
    pytest.fail("it never ended")


async def test_two_who_write_the_same_backup_are_kept_apart(place, directory_of, tmp_path):
    """By its claim, also from another machine, which shares no lock."""
    name = BackupName(backup_id_of(0), (await _manifest(directory_of)).options.codec)
    Catalogue(directory_of()).delete(backup_id_of(0))
    locks = LocalDirectory(tmp_path / "other locks")
    other = StoreDirectory("offsite", str(place), LocalStore(place), locks, owner="there")
    other.prepare()
    file = other.begin(name, 0)
    with pytest.raises(AppError):
        await write_backup(directory_of())
    file.write(b"half")

    assert Catalogue(directory_of()).sweep() == ()
    file.discard()
    assert names_in(place) == set()
    await write_backup(directory_of())


async def _manifest(directory_of):
    directory = directory_of()
    directory.prepare()
    return await write_backup(directory)


async def test_a_claim_of_another_machine_is_left_alone_until_nobody_renews_it(
    place, directory_of, tmp_path, monkeypatch
):
    """Whose process died there is known only by time."""
    locks = LocalDirectory(tmp_path / "other locks")
    other = StoreDirectory("offsite", str(place), LocalStore(place), locks, owner="there")
    other.prepare()
    manifest = await _manifest(directory_of)
    name = BackupName(backup_id_of(1), manifest.options.codec)
    other.begin(name, 0).write(b"half")
    Catalogue(directory_of()).sweep()
    assert name.partial in names_in(place)

    monkeypatch.setattr("app.archive.publishing.store_publication._LEASE", timedelta(seconds=-9))
    Catalogue(directory_of()).sweep()
    Catalogue(directory_of()).sweep_uploads()
    assert names_in(place) == {manifest.file, manifest.file + layout.MANIFEST}


async def test_what_is_read_here_is_not_deleted_here(directory_of):
    """By a lock of this machine."""
    manifest = await _manifest(directory_of)
    with Catalogue(directory_of()).open(manifest.backup_id):
        with pytest.raises(BackupInUseError):
            Catalogue(directory_of()).delete(manifest.backup_id)
        assert Catalogue(directory_of()).in_use([manifest.file]) == {manifest.file}
    assert Catalogue(directory_of()).in_use([manifest.file, "never opened"]) == set()
    Catalogue(directory_of()).delete(manifest.backup_id)


class FullStore(LocalStore):
    """Has no room for one byte more, and says so or only that it has failed."""

    def __init__(self, path, error):
        super().__init__(path)
        self.error = error

    def put(self, name, data, *, create=False, retain_until=None):
        raise self.error


@pytest.mark.parametrize("error", [StorageFullError("full"), StorageError("it has failed")])
async def test_a_full_store_is_deleted_from(error, place, directory_of):
    """What makes room needs none, and leaves nothing."""
    manifest = await _manifest(directory_of)
    full = Catalogue(directory_of(FullStore(place, error)))
    with suppress(StorageError):  # the list of what is left, which is only a cache
        full.delete(manifest.backup_id)

    assert {path.name for path in place.iterdir()} <= {layout.METADATA}


@pytest.mark.parametrize("error", [StorageFullError("full"), StorageError("it has failed")])
@pytest.mark.parametrize("is_published", [True, False])
def test_a_full_store_is_swept(is_published, error, place, directory_of):
    """Of what a process has left that died there, to which its store may owe that it is full."""
    died, claims, call = DyingStore(LocalStore(place)), list[str](), 0
    while not claims or (len(names_in(place)) == 3) is not is_published:
        for path in place.iterdir():
            path.unlink()
        call += 1
        with suppress(Died):
            written(directory_of(died.fail_at(call, "dies")))
        assert died.calls >= call
        claims = [name for name in names_in(place) if name.endswith(layout.PARTIAL)]
    full = directory_of(FullStore(place, error))

    assert Catalogue(full).sweep()[-1] == claims[0]

    listed = verified(directory_of())
    assert len(listed) == is_published
    assert len([name for name in names_in(place) if name.startswith("backup_")]) == 2 * len(listed)


async def test_a_store_that_does_not_answer_is_not_deleted_from(place, directory_of):
    """Whether it has taken the claim, nobody knows."""
    manifest = await _manifest(directory_of)
    error = StorageUnavailableError("no answer")
    with pytest.raises(StorageUnavailableError):
        Catalogue(directory_of(FullStore(place, error))).delete(manifest.backup_id)

    with Catalogue(directory_of()).open(manifest.backup_id) as reader:
        assert (await reader.verify(VerifyLevel.CONTENT)).rows == ROWS


class AddedTo(LocalStore):
    """Its key may not delete."""

    def delete(self, name):
        raise StorageDeniedError(f"{name}: the store refuses to delete")


async def test_nothing_is_removed_from_a_store_that_is_only_added_to(place, directory_of, caplog):
    """No sweep, no cache, and no word about it; a deletion is refused by whoever keeps the store."""
    directory = directory_of(AddedTo(place), append_only=True)
    directory.prepare()
    manifest = await write_backup(directory)
    catalogue = Catalogue(directory)
    catalogue.refresh(manifest)

    assert not (place / layout.METADATA).exists()
    assert catalogue.sweep() == ()
    assert [entry.backup_id for entry in catalogue.entries()] == [manifest.backup_id]
    assert caplog.messages == []


async def test_a_truncated_object_is_a_damaged_backup(place, directory_of):
    """Its size tells, without a byte being read."""
    manifest = await _manifest(directory_of)
    data = (place / manifest.file).read_bytes()
    (place / manifest.file).write_bytes(data[:-1])
    (problem,) = Catalogue(directory_of()).problems()

    assert problem.error.code == "truncated-file"
    with pytest.raises((AppError, StorageError)):
        Catalogue(directory_of()).open(manifest.backup_id)


async def test_a_writer_that_was_taken_for_dead_publishes_nothing(
    place, directory_of, tmp_path, monkeypatch
):
    """Another machine sweeps right before it would: what is listed afterwards is nothing, and it is told."""
    monkeypatch.setattr("app.archive.publishing.store_publication._LEASE", timedelta(seconds=-9))
    locks = LocalDirectory(tmp_path / "other locks")
    other = StoreDirectory("offsite", str(place), LocalStore(place), locks, owner="there")
    other.prepare()

    def swept():
        removed = Catalogue(other).sweep()
        assert len(removed) == 2
        return 1.0

    directory = directory_of()
    directory.prepare()
    writer = ArchiveWriter(directory, backup_id_of(0), Codec.GZIP)
    async with writer:
        await fill(writer, TABLES)
        draft = draft_of(backup_id_of(0), Codec.GZIP, TABLES)
        with pytest.raises(StorageUnavailableError, match="another installation"):
            await writer.finish(draft, duration=swept)

    assert verified(directory_of()) == []
    assert names_in(place) == set()


async def test_a_copied_state_directory_buries_nothing(place, directory_of, tmp_path):
    """It has the same name in its claims, and no lock file of a writer that was there."""
    locks = LocalDirectory(tmp_path / "cloned locks")
    clone = StoreDirectory("offsite", str(place), LocalStore(place), locks, owner="here")
    clone.prepare()
    directory = directory_of()
    directory.prepare()
    file = directory.begin(BackupName(backup_id_of(0), Codec.GZIP), 0)
    file.write(b"half")

    assert Catalogue(clone).sweep() == ()
    file.discard()
