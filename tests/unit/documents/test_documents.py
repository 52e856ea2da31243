"""Documents: the same facts for every edge, and nothing about the machine."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from app.archive.catalogue.catalogue import Catalogue
from app.documents.backups import (
    BackupCreated,
    BackupDeleted,
    BackupFacts,
    BackupInfo,
    BackupList,
    BackupVerified,
)
from app.documents.base import Document
from app.documents.restores import DrillPassed, DryRun, RecoveryOptions, Restored
from app.domain.backups.catalogue import BackupPage
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import ObjectKind
from app.domain.restores.dry_run import (
    Action,
    Compatibility,
    Estimate,
    Forecast,
    ObjectForecast,
    RestoreOptions,
    Space,
    TableForecast,
)
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase
from app.domain.restores.proofs import DrillResult, Proof, proven_at
from app.domain.restores.restore import RestoreResult
from app.errors import TargetNotEmptyError
from app.storage.local import LocalDirectory
from tests.fixtures.archives import NOON, backup_id_of, make_backup, write_backup


PROOF = Proof(NOON, "drill", True, 1.5, "mariadb 10.11.6", 3, 8, 900, True)
FITS = Compatibility(("MyISAM",), (), ("sequences",), ("A and a",), "shop.users", 2, 1)
SPACE, ESTIMATE = Space(needed=5, free=None), Estimate(3.0, "drill")
REFUSAL = TargetNotEmptyError("database 'shop' holds 1 table", hint="Choose another one.")
RESTORED = RestoreResult(
    restore_id=RestoreId("restore_0123456789ab"),
    backup_id=backup_id_of(1),
    databases=("shop",),
    restored_tables=("shop.users",),
    dropped_tables=(),
    rows_count=5,
    raw_size=90,
    size=40,
    verified_before=True,
    verified=True,
    recovery_point="",
    undo_until=NOON,
    fence="not needed",
    binary_log="off",
    duration=1.0,
    warnings=("one",),
)
FORECAST = Forecast(
    backup_id=backup_id_of(1),
    problems=(REFUSAL,),
    verified=None,
    tables=(
        TableForecast("shop", "users", Action.REPLACE, 4, 5, same_definition=True),
        TableForecast("shop", "old", Action.DROP, 7),
    ),
    objects=(ObjectForecast("shop", ObjectKind.VIEW, "best", Action.KEEP),),
    compared=True,
    compatibility=FITS,
    missing_rights=("GRANT ...;",),
    incoming_foreign_keys=(),
    space=SPACE,
    estimate=ESTIMATE,
    binary_log="off",
    warnings=("one",),
    duration=0.1,
)
UNDOABLE = Journal(
    restore_id=RESTORED.restore_id,
    kind=RestoreKind.RESTORE,
    backup_id=backup_id_of(1),
    server="db:3306",
    began_at=NOON,
    phase=RestorePhase.DONE,
    swaps=(),
    keep_until=NOON + timedelta(hours=1),
)


def printed(document: Document) -> dict[str, Any]:
    """Return what a command prints, and the history keeps."""
    return document.model_dump(mode="json")


def damaged_directory(path) -> Catalogue:
    """Make a backup that is whole, one whose file is short, one whose manifest is not one, an orphan."""
    catalogue, _ = make_backup(path)
    short, unreadable, orphan = (
        asyncio.run(write_backup(LocalDirectory(path), number)) for number in (1, 2, 3)
    )
    (path / short.file).write_bytes(b"short")
    (path / f"{unreadable.file}.manifest.json").write_bytes(b"{}")
    (path / f"{orphan.file}.manifest.json").unlink()
    return catalogue


def test_no_document_tells_where_the_backups_lie(tmp_path):
    """Names of files are in them, the directory is not; all of them are JSON."""
    catalogue = damaged_directory(tmp_path)
    survey = catalogue.survey()
    manifest = catalogue.manifest(survey.entries[0].backup_id)
    with catalogue.open(manifest.backup_id) as reader:
        report = asyncio.run(reader.verify(VerifyLevel.CONTENT))
    options = RestoreOptions(manifest, (REFUSAL,), FITS, (), SPACE, ESTIMATE, (PROOF,), (UNDOABLE,))
    drill = DrillResult(manifest.backup_id, ("shop",), 3, 8, 1.0, ())
    page = BackupPage(((survey.entries[0], NOON),), 1, survey, {})
    documents = [
        BackupList.of(page, limit=1, offset=0),
        BackupInfo.of(manifest, NOON, {}, {}),
        BackupCreated.of(manifest),
        BackupVerified.of(manifest.backup_id, report),
        BackupDeleted.of(manifest.backup_id),
        Restored.of(RESTORED),
        DryRun.of(FORECAST),
        DrillPassed.of(drill),
        RecoveryOptions.of(options),
    ]
    text = json.dumps([document.model_dump(mode="json") for document in documents])

    assert (len(survey.entries), len(survey.problems), len(survey.orphans)) == (1, 2, 1)
    assert manifest.file in text
    assert str(tmp_path) not in text
    assert "full_path" not in text


def test_instants_look_as_in_the_catalogue_or_as_in_iso_8601(tmp_path):
    """Backups tell when they were made as `metadata.json` does; everything about restores is ISO."""
    catalogue, manifest = make_backup(tmp_path)
    line = printed(BackupFacts.of(catalogue.entries()[0], None, {}))
    details = printed(BackupInfo.of(manifest, proven_at((PROOF,)), {}, {}))
    options = printed(
        RecoveryOptions.of(
            RestoreOptions(manifest, (), FITS, (), SPACE, ESTIMATE, (PROOF,), (UNDOABLE,))
        )
    )

    assert (line["created_at"], line["proven_at"]) == ("2026-01-31 12:00:00", None)
    assert details["created_at"] == details["proven_at"] == "2026-01-31 12:00:00"
    assert options["proven_at"] == "2026-01-31T12:00:00Z"
    assert options["undoable"] == [
        {"restore_id": "restore_0123456789ab", "until": "2026-01-31T13:00:00Z"}
    ]
    assert printed(Restored.of(RESTORED))["undo_until"] == "2026-01-31T12:00:00Z"


def test_a_forecast_counts_what_would_be_restored():
    """Tables that would go are listed, and neither they nor their rows are restored."""
    document = printed(DryRun.of(FORECAST))

    assert (document["success"], document["rows_count"]) == (False, 5)
    assert document["restored_tables"] == ["shop.users"]
    assert document["problems"] == [
        {
            "code": "target-not-empty",
            "title": "Target database not empty",
            "message": "database 'shop' holds 1 table",
            "hint": "Choose another one.",
        }
    ]
