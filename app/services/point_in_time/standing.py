"""
Where a backup stands in an archived binary log, and whether it does.

It was made while that stream grew, or recovered of it, and its GTIDs are what the archive has at its position.
Two histories of one server, such as before and after it was put back from a copy, may have the same GTIDs at the
same position.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, TypeVar

from app.binlog.archive.reading import ArchivedStream
from app.binlog.events.gtids import GtidState, parsed_state
from app.binlog.events.headers import is_of_one_file
from app.domain.backups.base import unfitness
from app.domain.backups.manifest import Manifest
from app.domain.restores.log_archive import LogBreak
from app.domain.restores.points import Place, Point, PointKind
from app.errors import BaseUnfitError, PointNotCoveredError
from app.services.binlog.cut import gtid_of


Plan = TypeVar("Plan")

_MARIADB: Final = "mariadb"
_OTHER_HISTORY: Final = (
    "its GTIDs are not those that the archive has at its position: it is of another history"
)


def first_of(stream: ArchivedStream) -> Place:
    """Return where an archive begins."""
    return Place(stream.files[0].number, stream.files[0].start) if stream.files else Place(0, 0)


def end_of_archive(stream: ArchivedStream) -> Place:
    """Return where it ends."""
    return Place(stream.files[-1].number, stream.files[-1].end) if stream.files else Place(0, 0)


def gtids_at(stream: ArchivedStream, place: Place) -> GtidState | None:
    """Return what the log has at a place; None where that is no border. Raises what reading raises."""
    border = stream.border_at(place.number, place.position)
    return border and border.gtids


def place_in(stream: ArchivedStream, file: str, position: int) -> Place | None:
    """Return a place by the server's name of the file; None when the stream has not that."""
    found = stream.file_named(file)
    return Place(found.number, position) if found else None


def place_of(stream: ArchivedStream, manifest: Manifest) -> Place | None:
    """Return where a backup stands in a stream; None when that has not the file."""
    return place_in(stream, manifest.position.binlog_file, manifest.position.binlog_position)


def unfit_in(stream: ArchivedStream, manifest: Manifest) -> str:
    """Say why a recovery from a stream cannot begin with a backup; empty = it can. Raises what reading raises."""
    return unfitness(manifest) or foreignness(stream, manifest, place_of(stream, manifest))


def holds_position(stream: ArchivedStream, manifest: Manifest) -> bool:
    """Tell whether a stream holds the position of a backup, of whatever history that is."""
    place = place_of(stream, manifest)
    return place is not None and first_of(stream) <= place <= end_of_archive(stream)


def state_of(manifest: Manifest) -> GtidState:
    """Return what a backup says that the log had at its position."""
    return parsed_state(manifest.position.gtid, is_mariadb=manifest.server.vendor == _MARIADB)


def foreignness(stream: ArchivedStream, manifest: Manifest, place: Place | None) -> str:
    """
    Say why a backup does not stand in a stream; blocks.

    Returns:
        The reason; empty = it does.

    Raises:
        BinlogDamagedError: The archive is not what was written.
    """
    if manifest.server.vendor != stream.identity.vendor:
        return f"it is of {manifest.server.vendor}, the binary log of {stream.identity.vendor}"
    if place is None or not first_of(stream) <= place <= end_of_archive(stream):
        return "the archive of the binary log does not hold its position"
    if reason := _of_another_time(stream, manifest):
        return reason
    gtids = gtids_at(stream, place)
    is_same = gtids is not None and gtids.position == state_of(manifest).position
    return "" if is_same else _OTHER_HISTORY


def _of_another_time(stream: ArchivedStream, manifest: Manifest) -> str:
    """Say why a backup was not made while a stream grew, or of it; empty = it was."""
    document = stream.document
    if manifest.recovered_from:
        is_of_it = manifest.recovered_in == stream.id
        return "" if is_of_it else "it was recovered from another archive of the binary log"
    if manifest.created_at < datetime.fromisoformat(document.began_at):
        return "it was made before this archive of the binary log began"
    if document.ended_at and manifest.created_at > datetime.fromisoformat(document.ended_at):
        return "it was made after this archive of the binary log had ended"
    return ""


def breaks_since(stream: ArchivedStream, manifest: Manifest) -> tuple[LogBreak, ...]:
    """Return what was changed past the log since what a backup holds; where it was recovered, that is old."""
    place = place_of(stream, manifest)
    return tuple(
        found
        for found in stream.breaks
        if place is not None
        and (
            place < break_place(found)
            or (place == break_place(found) and _may_lack(manifest, found))
        )
    )


def break_place(found: LogBreak) -> Place:
    """Return where the log stood."""
    return Place(found.number, found.position)


def _may_lack(manifest: Manifest, found: LogBreak) -> bool:
    return bool(manifest.recovered_from) or datetime.fromisoformat(found.at) > manifest.created_at


def planned_in(
    streams: Iterable[ArchivedStream], plan: Callable[[ArchivedStream], Plan], point: Point | None
) -> Plan:
    """
    Plan with the first stream that reaches to a point.

    A log that was reset counts its files and its transactions from one again: what a point names in one stream
    is something else in an older one, but where both hold the same file.

    Args:
        streams: The newest first; at least one.
        plan: Plans with one of them.
        point: What is planned; None where no name of it is in two histories.

    Returns:
        The plan.

    Raises:
        PointNotCoveredError: No stream reaches to it, or not the one that is meant.
        BaseUnfitError: No backup can be a base.
    """
    error: PointNotCoveredError | BaseUnfitError | None = None
    meant = b""
    for stream in streams:
        if error and meant and not is_of_one_file(meant, _file_of(stream, point)):
            break
        try:
            return plan(stream)
        except (PointNotCoveredError, BaseUnfitError) as exc:
            error = error or exc
            meant = meant or _file_of(stream, point)
    assert error is not None  # noqa: S101 - there is a stream
    raise error


def _file_of(stream: ArchivedStream, point: Point | None) -> bytes:
    """Return the first event of the file in which a stream has what a point names; nothing where it has not."""
    number: int | None = None
    if point and point.kind is PointKind.POSITION:
        place = place_in(stream, point.file, point.position)
        is_there = place and first_of(stream) <= place <= end_of_archive(stream)
        number = place.number if place and is_there else None
    elif point and point.kind is not PointKind.TIME:
        gtid = gtid_of(point)
        same = (each.number for each in stream.transactions(counts=False) if each.gtid == gtid)
        number = next(same, None)
    return b"" if number is None else stream.format_event(number)
