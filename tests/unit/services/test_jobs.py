"""What runs need, what is refused before one begins, and what options become."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.domain.backups.manifest import Codec, Manifest
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase, SchemaSwap
from app.domain.restores.restore import RestoreRequest
from app.domain.runs.run import RunKind
from app.errors import (
    BackupNotFoundError,
    DatabaseNotFoundError,
    IntegrityError,
    InvalidRequestError,
    RestoreNotFoundError,
    TableNotFoundError,
    UndoExpiredError,
)
from app.services.backups.options import BackupOptions
from app.services.jobs import Jobs
from tests.fixtures.archives import forge, make_backup
from tests.fixtures.backstay import Backstay


NOWHERE = "mysql://nobody@127.0.0.1:1/"
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
UNKNOWN = "backup_65ba1f2f3d4e5"


class InstallationWithBackup:
    """A directory with one backup of the database `shop`, and a server that nobody can reach."""

    def __init__(self, home) -> None:
        self.home = home
        self.backstay = Backstay(NOWHERE, home / "backups")
        self.manifest: Manifest = make_backup(home / "backups")[1]
        settings = Settings(
            database_url=SecretStr(NOWHERE), backup_dir=home / "backups", state_dir=home / "state"
        )
        backstay = self.backstay
        self.jobs = Jobs(
            settings, backstay.catalogue, backstay.backups, lambda: backstay.recoveries
        )

    def request(self, **options) -> RestoreRequest:
        """Ask for a restore of that backup."""
        return RestoreRequest(self.manifest.backup_id, **options)

    def restored(self, phase: RestorePhase, *targets: str, number: int = 1) -> Journal:
        """Write the journal of a restore of that backup."""
        made = Journal(
            RestoreId(f"restore_{number:012x}"),
            RestoreKind.RESTORE,
            self.manifest.backup_id,
            self.backstay.target.where,
            NOON,
            phase,
            tuple(
                SchemaSwap(target, f"{target}__bk_new_1", f"{target}__bk_old_1")
                for target in targets
            ),
        )
        self.backstay.journals.save(made)
        return made


@pytest.fixture
def installation(tmp_path) -> InstallationWithBackup:
    """That directory."""
    return InstallationWithBackup(tmp_path)


def keys(job) -> set[str]:
    """What no other run may have meanwhile."""
    return {resource.key for resource in job.resources}


def test_all_backups_of_a_server_exclude_each_other(installation):
    """Recovery points too; what was asked is kept, how it is done is not."""
    plain = installation.jobs.backup(
        BackupOptions(databases=("shop",), threads=3, description=" a\n b ")
    )
    point = installation.jobs.backup(BackupOptions(recovery_point=True))

    assert (plain.kind, point.kind) == (RunKind.BACKUP, RunKind.RECOVERY_POINT)
    assert keys(plain) == keys(point) != set()
    assert plain.request["databases"] == ("shop",)
    assert plain.request["description"] == "a b"
    assert not {"threads", "chunk_bytes", "recovery_point"} & plain.request.keys()


async def test_restores_of_one_database_exclude_each_other(installation):
    """Those of others do not: what counts is the database that is filled, not the one of the backup."""
    plain = await installation.jobs.restore(installation.request())
    into = await installation.jobs.restore(installation.request(into="copy"))
    again = await installation.jobs.restore(installation.request(tables=("users",)))

    assert keys(plain) == keys(again) != keys(into)
    assert not keys(plain) & keys(into)
    assert not keys(plain) & keys(installation.jobs.backup(BackupOptions()))
    assert [resource.label for resource in plain.resources] == ["database 'shop'"]
    assert (plain.kind, plain.backup_id) == (RunKind.RESTORE, installation.manifest.backup_id)


async def test_a_restore_of_many_databases_has_them_all(installation):
    """One resource each."""
    blog = replace(installation.manifest.databases[0], name="blog")
    forge(
        installation.home / "backups",
        installation.manifest,
        databases=(*installation.manifest.databases, blog),
    )

    both = await installation.jobs.restore(installation.request())
    single = await installation.jobs.restore(installation.request(databases=("blog",)))

    assert len(keys(both)) == 2
    assert keys(single) < keys(both)


async def test_an_undo_has_what_its_restore_had(installation):
    """By the id of the restore or of the backup."""
    journal = installation.restored(RestorePhase.DONE, "shop", "blog")
    restore = await installation.jobs.restore(installation.request())
    for name in (journal.restore_id, installation.manifest.backup_id):
        job = await installation.jobs.undo(name)

        assert keys(restore) < keys(job)
        assert len(job.resources) == 2
        assert (job.kind, job.backup_id) == (RunKind.UNDO, installation.manifest.backup_id)
        assert job.request == {"restore_id": journal.restore_id}


async def test_what_changes_no_database_excludes_nothing(installation):
    """Dry runs, drills, verifications; a deletion is kept apart from readers by its files."""
    jobs = [
        await installation.jobs.dry_run(installation.request()),
        await installation.jobs.drill(installation.request()),
        await installation.jobs.verification(installation.manifest.backup_id),
        await installation.jobs.deletion(installation.manifest.backup_id),
    ]

    assert [job.resources for job in jobs] == [()] * 4
    assert [job.backup_id for job in jobs] == [installation.manifest.backup_id] * 4
    assert [job.kind for job in jobs] == ["dry-run", "drill", "verification", "deletion"]


@pytest.mark.parametrize("name", [UNKNOWN, "../etc/passwd", "", "\0", "restore_000000000009"])
async def test_what_is_not_there_is_refused_before_a_run_begins(name, installation):
    """An answer of 404 needs no run in the history."""
    request = RestoreRequest(name)
    for making in (
        installation.jobs.restore(request),
        installation.jobs.dry_run(request),
        installation.jobs.drill(request),
        installation.jobs.verification(name),
        installation.jobs.deletion(name),
    ):
        with pytest.raises(BackupNotFoundError):
            await making
    with pytest.raises(RestoreNotFoundError):
        await installation.jobs.undo(name)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"tables": ("nothing*",)}, TableNotFoundError),
        ({"databases": ("blog",)}, DatabaseNotFoundError),
        ({"into": "mysql"}, InvalidRequestError),
        ({"into": "x" * 65}, InvalidRequestError),
        ({"schema_only": True, "data_only": True}, InvalidRequestError),
    ],
    ids=str,
)
async def test_a_restore_that_makes_no_sense_is_refused_before_a_run_begins(
    options, error, installation
):
    """Whatever the backup alone can tell."""
    for make in (installation.jobs.restore, installation.jobs.dry_run):
        with pytest.raises(error):
            await make(installation.request(**options))


async def test_an_undo_that_comes_too_late_is_refused_before_a_run_begins(installation):
    """The old tables are not kept any more."""
    journal = installation.restored(RestorePhase.FORGOTTEN, "shop")

    with pytest.raises(UndoExpiredError):
        await installation.jobs.undo(journal.restore_id)


async def test_a_damaged_backup_can_be_deleted(installation):
    """But nothing else can be done with it."""
    (manifest,) = (installation.home / "backups").glob("*.manifest.json")
    manifest.write_text("{}")

    job = await installation.jobs.deletion(installation.manifest.backup_id)
    with pytest.raises(IntegrityError):
        await installation.jobs.restore(installation.request())

    assert job.backup_id == installation.manifest.backup_id


def codec_of(compress, codec, *, settings_compress, settings_codec) -> Codec:
    """What options become with these settings."""
    settings = Settings(compress=settings_compress, codec=settings_codec)
    return BackupOptions(compress=compress, codec=codec).request(settings).codec


@pytest.mark.parametrize(
    ("set_compress", "set_codec"), list(product([True, False], Codec)), ids=str
)
def test_options_of_a_request_go_before_the_settings(set_compress, set_codec):
    """False is plain SQL whatever else is said; a codec is that codec; then the settings decide."""
    set_to = {"settings_compress": set_compress, "settings_codec": set_codec.value}

    for codec in (None, *Codec):
        assert codec_of(False, codec, **set_to) is Codec.NONE
    for compress, codec in product([None, True], Codec):
        assert codec_of(compress, codec, **set_to) is codec
    assert codec_of(True, None, **set_to) is set_codec
    assert codec_of(None, None, **set_to) is (set_codec if set_compress else Codec.NONE)


def test_the_level_of_the_settings_goes_with_their_codec_only():
    """One that is asked for goes before it; other codecs have their default, plain SQL has none."""
    settings = Settings(codec="zstd", level=7)

    def level_of(**options) -> int | None:
        return BackupOptions(**options).request(settings).level

    assert level_of() == 7
    assert level_of(codec=Codec.ZSTD) == 7
    assert level_of(level=3) == 3
    assert level_of(codec=Codec.GZIP) is None
    assert level_of(compress=False) is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codec": Codec.GZIP, "level": 10}, "gzip has the levels 1 to 9, not 10"),
        ({"codec": Codec.ZSTD, "level": 20}, "zstd has the levels 1 to 19, not 20"),
        ({"codec": Codec.ZSTD, "level": -1}, "zstd has the levels 1 to 19, not -1"),
        ({"codec": Codec.NONE, "level": 1}, "what is not compressed has no level"),
        ({"compress": False, "level": 1}, "what is not compressed has no level"),
    ],
)
def test_a_level_that_the_codec_has_not_is_refused(options, words):
    """In a sentence that says which there are."""
    with pytest.raises(InvalidRequestError, match=words):
        BackupOptions(**options).request(Settings())


def test_options_that_are_left_open_come_from_the_settings():
    """And what is not, they do not."""
    settings = Settings(threads=3, verify_integrity=False, chunk_bytes=1 << 16)
    left, said = (
        BackupOptions(),
        BackupOptions(threads=1, verify=True, include_data=False, accounts=True),
    )

    left_open, asked = left.request(settings), said.request(settings)

    assert (left_open.threads, left_open.verify, left_open.chunk_bytes) == (3, False, 1 << 16)
    assert (asked.threads, asked.verify) == (1, True)
    assert (asked.include_data, asked.accounts) == (False, True)
    assert (left_open.include_data, left_open.accounts, left_open.recovery_point) == (
        True,
        False,
        False,
    )


def test_jobs_are_made_without_the_server(installation):
    """Nobody waits for one that is down to learn that there is no such backup."""
    assert asyncio.run(installation.jobs.restore(installation.request())).resources
