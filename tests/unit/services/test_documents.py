"""Documents: the same facts for every edge, and nothing about the machine."""

import asyncio
import json
from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from app.archive.catalogue.catalogue import Catalogue
from app.domain.backups.check_notes import VerifyLevel
from app.domain.backups.manifest import ObjectKind
from app.domain.restores.dry_run import (
    Action,
    Compatibility,
    Estimate,
    Forecast,
    ObjectForecast,
    Proof,
    Space,
    TableForecast,
    proven_at,
)
from app.domain.restores.journal import Journal, RestoreId, RestoreKind, RestorePhase
from app.domain.restores.restore import RestoreResult
from app.domain.restores.results import DrillResult, Options
from app.domain.runs.run import Failure
from app.errors import (
    AppError,
    BackupNotFoundError,
    ConnectionFailedError,
    StatementError,
    TargetNotEmptyError,
)
from app.services import documents
from app.services.runs.failures import failure, without_paths
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
    compatibility=FITS,
    missing_rights=("GRANT ...;",),
    incoming_foreign_keys=(),
    space=SPACE,
    estimate=ESTIMATE,
    binary_log="off",
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
    options = Options(manifest, (REFUSAL,), FITS, (), SPACE, ESTIMATE, (PROOF,), (UNDOABLE,))
    drill = DrillResult(manifest.backup_id, ("shop",), 3, 8, 1.0, ())
    text = json.dumps([
        documents.backup_line(survey.entries[0], NOON),
        documents.backup_summary(manifest),
        documents.backup_details(manifest, NOON),
        documents.backup_created(manifest),
        documents.survey_problems(survey),
        documents.verification(manifest.backup_id, report),
        documents.deletion(manifest.backup_id),
        documents.restore_result(RESTORED),
        documents.forecast(FORECAST),
        documents.drill(drill),
        documents.options(options),
    ])

    assert (len(survey.entries), len(survey.problems), len(survey.orphans)) == (1, 2, 1)
    assert manifest.file in text
    assert str(tmp_path) not in text
    assert "full_path" not in text


def test_instants_look_as_in_the_catalogue_or_as_in_iso_8601(tmp_path):
    """Backups tell when they were made as `metadata.json` does; everything about restores is ISO."""
    catalogue, manifest = make_backup(tmp_path)
    line = documents.backup_line(catalogue.entries()[0], None)
    details = documents.backup_details(manifest, proven_at((PROOF,)))
    options = documents.options(
        Options(manifest, (), FITS, (), SPACE, ESTIMATE, (PROOF,), (UNDOABLE,))
    )

    assert (line["created_at"], line["proven_at"]) == ("2026-01-31 12:00:00", None)
    assert details["created_at"] == details["proven_at"] == "2026-01-31 12:00:00"
    assert options["proven_at"] == "2026-01-31T12:00:00Z"
    assert options["undoable"] == [
        {"restore_id": "restore_0123456789ab", "until": "2026-01-31T13:00:00Z"}
    ]
    assert documents.restore_result(RESTORED)["undo_until"] == "2026-01-31T12:00:00Z"


def test_a_forecast_counts_what_would_be_restored():
    """Tables that would go are listed, and neither they nor their rows are restored."""
    document = documents.forecast(FORECAST)

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


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            BackupNotFoundError("backup_1", hint="Look into /srv/backups/shop first."),
            Failure(
                "backup-not-found",
                "Backup file not found",
                "no backup 'backup_1'",
                "Look into shop first.",
                retryable=False,
            ),
        ),
        (
            ConnectionFailedError("nobody answers at '/var/run/mysqld/mysqld.sock'"),
            Failure(
                "connection-failed",
                "Database connection failed",
                "nobody answers at 'mysqld.sock'",
                "",
                retryable=True,
            ),
        ),
        (
            StatementError("error 1064: near 'alice@example.org'", errno=1064, hint="Look."),
            Failure(
                "statement",
                "Statement failed",
                "the server refused a statement with error 1064",
                "Look.",
                retryable=False,
            ),
        ),
        (
            asyncio.CancelledError("by /usr/bin/somebody"),
            Failure(
                "cancelled",
                "Cancelled",
                "cancelled before it was done; nothing was left behind",
                "",
                retryable=False,
            ),
        ),
        (
            KeyError("alice@example.org"),
            Failure("internal", "Internal error", "KeyError", "Please report it.", retryable=False),
        ),
    ],
    ids=["ours", "with-a-path", "statement", "cancelled", "bug"],
)
def test_a_failure_is_told_in_words_that_everybody_may_read(error, told):
    """Our own words without directories; neither the server's nor those of a bug."""
    assert failure(error) == told


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/var/run/mysqld/mysqld.sock", "mysqld.sock"),
        ("(/var/run/mysqld/mysqld.sock)", "(mysqld.sock)"),
        ("no '/srv/backups/': missing", "no 'backups': missing"),
        ("file:///etc/passwd, //etc//hosts", "file:passwd, hosts"),
        ("/usr/bin:/bin and socket=/run/s", "bin:bin and socket=s"),
        ("x://h/db?unix_socket=/run/db.sock", "x://h/db?unix_socket=db.sock"),
        ("/data is not a directory", "data is not a directory"),
    ],
)
def test_a_path_is_cut_to_its_last_name(text, left):
    """Whatever stands around it."""
    assert without_paths(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "mysql://backup@db.example.org:3306/shop",
        "a/b, a//b, ./shop/users.ibd, ../x, ~/x",
        "31/01/2026 12:00, 2026-01-31T12:00:00Z, 5 kB/s, 3 / 4",
        "SELECT /* a comment */ `a`/`b`, f(x)/2",
        "GRANT SELECT ON `shop`.* TO 'a'@'%';",
        "",
    ],
)
def test_what_is_no_absolute_path_stays(text):
    """URLs, relative paths, dates, rates and SQL are left as they are."""
    assert without_paths(text) == text


NAME = st.text(alphabet="abAB09._-@+()é ", min_size=1).map(lambda text: f"n{text}")
BEFORE = st.sampled_from(["", " ", ": ", "'", '"', "(", "=", ":", ",", "no such file "])


@given(
    st.lists(NAME, min_size=2, max_size=6),
    BEFORE,
    st.text(alphabet=st.characters(exclude_characters="/")),
)
def test_no_absolute_path_survives(names, before, after):
    """Of a path with two names or more, no beginning is left, whatever comes after it."""
    path = "/" + "/".join(names)
    left = without_paths(f"{before}{path}{after}")

    assert path not in left
    assert not left.startswith(f"{before}/")


@given(st.text(alphabet="/ab.:' ?=*)-~"))
def test_what_was_cut_needs_no_second_cut(text):
    """Cutting once is enough: no new path comes together from what is left."""
    assert without_paths(without_paths(text)) == without_paths(text)


@given(st.sampled_from(AppError.__subclasses__()), st.lists(NAME, min_size=2))
def test_no_failure_tells_a_path(kind, names):
    """Neither message nor hint of any error."""
    path = "/" + "/".join(names)
    error = kind(f"{path}: permission denied", hint=f"Give this user access to '{path}'.")
    told = failure(error)

    assert path not in told.message + told.hint
