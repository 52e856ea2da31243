"""How the installation is doing: state, readiness, checks, the doctor, and the archive of the binary log."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from app.documents.backups import BackupFacts
from app.documents.base import Bytes, Document, Success
from app.documents.restores import LogPlaceFacts
from app.documents.runs import RunFacts
from app.domain.checks import CheckResult
from app.domain.monitoring import DoctorCheck, Readiness, Status
from app.domain.places.report import CopiesReport, PlaceState
from app.domain.restores.log_archive import ArchiverState, BinlogOverview, FoundTransactions
from app.domain.restores.repair import RepairResult


class PlaceFacts(Document):
    """What is known of a place of backups."""

    store: Annotated[str | None, Field(description="null = the backup directory.")]
    kind: str
    offsite: Annotated[
        bool, Field(description="It is reached over a network, and not on this machine.")
    ]
    counts: Annotated[bool, Field(description="It is a copy of the data, as 3-2-1 counts them.")]
    looked_at: Annotated[
        datetime | None,
        Field(description="When what follows was so; null = nobody has looked yet."),
    ]
    error: Annotated[str | None, Field(description="Code of why the last look failed.")]
    backups_count: int
    size: Bytes
    free: Annotated[
        Bytes | None,
        Field(description="What may still be written there; null = the place does not tell."),
    ]
    damaged: int
    unknown: Annotated[
        int, Field(description="Backups of a signer that is not known here: nobody here can tell.")
    ]
    newest_backup_id: str | None
    newest_at: datetime | None
    lag_seconds: Annotated[
        float | None, Field(description="How far it is behind the newest backup anywhere.")
    ]
    checked_at: Annotated[
        datetime | None, Field(description="When the newest was last read back to its last byte.")
    ]
    proven_at: Annotated[
        datetime | None,
        Field(description="When all of a backup there was last restored and equal."),
    ]

    @classmethod
    def of(cls, report: CopiesReport, place: PlaceState) -> Self:
        """Describe a place, as of its last look."""
        lag, newest = report.lag(place), place.newest
        return cls.taken(
            place,
            store=place.name or None,
            offsite=place.is_offsite,
            counts=report.counts(place),
            error=place.error.code if place.error else None,
            backups_count=place.count,
            size=place.size_bytes,
            free=place.free_bytes,
            newest_backup_id=newest.backup_id if newest else None,
            newest_at=newest.created_at if newest else None,
            lag_seconds=None if lag is None else lag.total_seconds(),
        )


class CopiesFacts(Document):
    """Whether there are three copies, in two kinds of places, one of them off-site."""

    met: bool
    copies: Annotated[int, Field(description="With the live data, which is one.")]
    kinds: Annotated[tuple[str, ...], Field(description="With the disk of the live data.")]
    offsite: int
    missing: Annotated[tuple[str, ...], Field(description="What is missing, in words.")]
    places: tuple[PlaceFacts, ...]

    @classmethod
    def of(cls, report: CopiesReport) -> Self:
        """Tell of all places, the backup directory first."""
        return cls.taken(
            report,
            met=report.is_met,
            kinds=report.media,
            places=tuple(PlaceFacts.of(report, place) for place in report.places),
        )


class StatusDocument(Document):
    """How the backups are doing."""

    success: Success
    last_backup: BackupFacts | None
    backups_count: int
    size: Bytes
    raw_size: int
    disk_free: int | None
    disk_total: int | None
    running: tuple[RunFacts, ...]
    next_due_at: datetime | None
    last_failures: tuple[RunFacts, ...]
    damaged: Annotated[int, Field(description="Backups that are not whole.")]
    unknown: Annotated[
        int, Field(description="Backups of a signer that is not known here: nobody here can tell.")
    ]
    checks_failing: Annotated[int, Field(description="Backups of which the last check failed.")]
    last_proven_at: Annotated[
        datetime | None,
        Field(description="When all of a backup, of any, was last restored and equal."),
    ]
    last_recovery_proven_at: Annotated[
        datetime | None,
        Field(
            description="When an older backup and the binary log last gave what a newer one holds."
        ),
    ]
    copies: CopiesFacts

    @classmethod
    def of(cls, status: Status) -> Self:
        """Tell of the state of everything."""
        last = status.last_backup
        return cls.taken(
            status,
            success=True,
            last_backup=last and BackupFacts.of(last, status.last_backup_proven_at, status.pins),
            size=status.size_bytes,
            raw_size=status.raw_size_bytes,
            disk_free=status.disk.free_bytes if status.disk else None,
            disk_total=status.disk.total_bytes if status.disk else None,
            running=tuple(map(RunFacts.of, status.running)),
            last_failures=tuple(map(RunFacts.of, status.last_failures)),
            copies=CopiesFacts.of(status.copies),
        )


class Alive(Document):
    """The process is alive."""

    status: Literal["ok"]


class Ready(Document):
    """Whether requests can be served; a check that failed has the code of its error."""

    status: Literal["ready", "not ready"]
    checks: dict[str, str]

    @classmethod
    def of(cls, readiness: Readiness) -> Self:
        """Tell what was checked."""
        return cls(
            status="ready" if readiness.is_ready else "not ready",
            checks={name: code or "ok" for name, code in readiness.checks.items()},
        )


class Served(Document):
    """A service that has stopped, and where it was."""

    success: Success
    url: str

    @classmethod
    def of(cls, url: str) -> Self:
        """Name its address."""
        return cls(success=True, url=url)


class MadeCheck(Document):
    """A look at a stored backup, and what it has shown; `store` is empty for the backup directory."""

    backup_id: str
    store: str
    what: str
    success: bool
    error: str | None
    bytes_read: int | None

    @classmethod
    def of(cls, result: CheckResult) -> Self:
        """Describe one look; an error is told by its code."""
        failure = result.failure
        return cls.taken(result, success=failure is None, error=failure.code if failure else None)


class ChecksMade(Document):
    """The checks of one pass; a success when nothing was wrong."""

    success: bool
    checks: tuple[MadeCheck, ...]

    @classmethod
    def of(cls, results: Sequence[CheckResult]) -> Self:
        """Tell of a pass."""
        return cls(
            success=not any(result.failure for result in results),
            checks=tuple(map(MadeCheck.of, results)),
        )


class RepairFacts(Document):
    """What became of a restore that was interrupted."""

    restore_id: str
    databases: tuple[str, ...]
    outcome: str
    message: str

    @classmethod
    def of(cls, repair: RepairResult) -> Self:
        """Describe it."""
        return cls.taken(
            repair,
            restore_id=repair.journal.restore_id,
            databases=repair.journal.targets,
            message=str(repair.error or ""),
        )


class FindingFacts(Document):
    """One finding of the doctor."""

    name: str
    state: str
    detail: str
    remedy: str


class DoctorReport(Document):
    """What the doctor has repaired and found; a success when nothing would make a backup fail."""

    success: bool
    repairs: tuple[RepairFacts, ...]
    checks: tuple[FindingFacts, ...]

    @classmethod
    def of(cls, repairs: Sequence[RepairResult], checks: Sequence[DoctorCheck]) -> Self:
        """Tell of an examination, and of the repairs before it."""
        return cls(
            success=not any(check.error for check in checks),
            repairs=tuple(map(RepairFacts.of, repairs)),
            checks=tuple(map(FindingFacts.taken, checks)),
        )


class LogBreakFacts(Document):
    """A change of the data that the log does not have; points behind it need a later backup."""

    at: Annotated[str, Field(description="ISO 8601, UTC.")]
    number: Annotated[int, Field(description="Of the server's file.")]
    position: int
    reason: str


class LogFindingFacts(Document):
    """What makes the archive less than it could be."""

    severity: Annotated[str, Field(description="`refused` or `warning`.")]
    message: str
    hint: str


class LogStream(Document):
    """The log of one server without a gap."""

    id: Annotated[str, Field(examples=["4f0c2a9e11b7"])]
    began_at: Annotated[str, Field(description="ISO 8601, UTC; empty when it is damaged.")]
    vendor: str
    version: str
    address: str
    first: Annotated[LogPlaceFacts | None, Field(description="null while it is empty.")]
    last: Annotated[LogPlaceFacts | None, Field(description="Behind its last whole transaction.")]
    committed_at: Annotated[
        datetime | None, Field(description="When that was committed; null when there is none.")
    ]
    files: int
    size: Bytes
    breaks: tuple[LogBreakFacts, ...]
    ended_at: Annotated[str, Field(description="ISO 8601, UTC; empty while it goes on.")]
    ended_because: str
    unsigned_from: Annotated[
        LogPlaceFacts | None,
        Field(description="Behind it an encrypted archive is not signed yet; null where all is."),
    ]
    damage: Annotated[str, Field(description="Empty when none was seen.")]


class LogCopyFacts(Document):
    """The copy of the archive in a store."""

    store: str
    current_as_of: Annotated[
        datetime | None,
        Field(description="What was archived then is there; null = not known."),
    ]
    code: Annotated[
        str, Field(description="Of the error because of which it is not copied; empty when it is.")
    ]
    message: str
    hint: str


class BinlogFetched(Document):
    """What was brought back from a store."""

    success: Success
    store: str
    streams: Annotated[tuple[str, ...], Field(description="Ids of those that were not here.")]


class BinlogStatus(Document):
    """What the archiver does, and what the archive has."""

    success: Success
    state: ArchiverState
    stream: Annotated[str, Field(description="Id of the stream that grows; empty when none does.")]
    archived_end: Annotated[
        LogPlaceFacts | None,
        Field(description="Behind the last transaction that is on the medium; null = not known."),
    ]
    current_as_of: Annotated[
        datetime | None,
        Field(description="What was committed before is archived; null = not known."),
    ]
    lag_seconds: Annotated[float | None, Field(description="How long ago that is.")]
    code: Annotated[
        str, Field(description="Of the error that keeps it from going on; empty when none does.")
    ]
    message: str
    hint: str
    broken_at: Annotated[str, Field(description="When a stream ended last; empty when none did.")]
    broken_because: str
    findings: tuple[LogFindingFacts, ...]
    streams: Annotated[tuple[LogStream, ...], Field(description="The oldest first.")]
    copies: Annotated[
        tuple[LogCopyFacts, ...], Field(description="Of each store that gets copies.")
    ]

    @classmethod
    def of(cls, overview: BinlogOverview) -> Self:
        """Describe them."""
        return cls.taken(overview, success=True)


class LoggedRowsFacts(Document):
    """What a transaction did to one table; null for what cannot be counted."""

    database: str
    table: str
    inserted: int | None
    updated: int | None
    deleted: int | None


class LogTransaction(Document):
    """A transaction of the archive; `file` and `start` are the place just before it."""

    stream: str
    file: str
    start: int
    end: int
    gtid: Annotated[str, Field(description="Empty where it has none.")]
    committed_at: datetime
    tables: tuple[LoggedRowsFacts, ...]
    database: Annotated[str, Field(description="That of its first statement; may be empty.")]
    statement: Annotated[
        str, Field(description="The first one, without values; empty when the log lacks it.")
    ]


class BinlogTransactions(Document):
    """Transactions in the order of the log."""

    success: Success
    transactions: tuple[LogTransaction, ...]
    is_cut: Annotated[bool, Field(description="Whether more of them match.")]

    @classmethod
    def of(cls, found: FoundTransactions) -> Self:
        """Describe them."""
        return cls.taken(found, success=True)
