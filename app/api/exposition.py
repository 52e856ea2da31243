"""
Numbers in the text format of Prometheus.

docs/monitoring/README.md explains each of them; a test keeps it complete.
Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from app.concurrency import Bound
from app.domain.backups.backup import CatalogueEntry
from app.domain.document import Json
from app.domain.places.report import CopiesReport, PlaceState
from app.domain.restores.log_archive import ArchiverState
from app.domain.restores.reach import Reach
from app.domain.runs.run import RunKind, RunState, RunTally
from app.services.monitoring.metrics import HistoryNumbers, Metrics, ScheduleNumbers


# Every version of Prometheus reads this one.
MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
# No schedule can have this name.
UNSCHEDULED: Final = "(none)"
_OVER: Final = tuple(state for state in RunState if state.is_over)
_PREFIX: Final = "backstay_"
_UNKNOWN: Final = (
    "Encrypted backups of a signer that is not known here, of which nobody here can tell."
)

Values = Iterable[tuple[tuple[str, ...], float | None]]


def exposition(metrics: Metrics, bounds: Iterable[Bound]) -> bytes:
    """Return all numbers, each with a line of help and its type; UTF-8."""
    registry = CollectorRegistry()
    registry.register(_Given((*_families(metrics), *_of_bounds(bounds))))
    return generate_latest(registry)


class _Given(Collector):
    """Families that are known already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._families


def _families(metrics: Metrics) -> Iterator[Metric]:
    sources = {
        "history": metrics.history,
        "catalogue": metrics.health,
        "schedules": metrics.schedules,
        "disk": metrics.disk,
    }
    read = [((name,), float(found is not None)) for name, found in sources.items()]
    yield _gauge("build_info", "The release; always 1.", [((version("backstay"),), 1)], "version")
    yield _gauge("source_up", "Whether what the numbers come from can be read.", read, "source")
    yield _single(
        "scheduler_lag_seconds", "How late the last scheduled run began.", metrics.lag_seconds
    )
    if metrics.alerts_open is not None:
        yield _single("alerts_open", "Alerts that are open.", metrics.alerts_open)
    if metrics.history is not None:
        yield from _of_history(metrics.history)
    if metrics.health is not None:
        yield from _of_catalogue(metrics)
    yield _single(
        "last_proven_restore_timestamp_seconds",
        "When a whole backup was last restored and equal.",
        _seconds(metrics.proven_at),
    )
    yield _single(
        "last_proven_recovery_timestamp_seconds",
        "When an older backup and the binary log last gave what a newer backup holds.",
        _seconds(metrics.recovery_proven_at),
    )
    if metrics.schedules is not None:
        yield from _of_schedules(metrics.schedules, metrics.at)
    if metrics.copies is not None:
        yield from _of_stores(metrics.copies)
    if metrics.reach is not None:
        yield from _of_log(metrics.reach)
    if metrics.disk is not None:
        yield _single("disk_free_bytes", "Free where backups are kept.", metrics.disk.free_bytes)
        yield _single("disk_total_bytes", "Size of that file system.", metrics.disk.total_bytes)
        yield _single("disk_floor_bytes", "BACKSTAY_DISK_FLOOR_BYTES.", metrics.disk_floor_bytes)


def _of_bounds(bounds: Iterable[Bound]) -> Iterator[Metric]:
    """Tell of what this process limits, each by the name of its setting."""
    bounds = tuple(bounds)
    limits = [((bound.name,), float(bound.limit)) for bound in bounds]
    yield _gauge("limit", "A limit, by its setting.", limits, "setting")
    used = [((bound.name,), float(bound.used)) for bound in bounds if bound.counts]
    yield _gauge("limit_used", "How much of it is in use.", used, "setting")
    hits = CounterMetricFamily(
        f"{_PREFIX}limit_hits", "How often it was reached.", labels=("setting",)
    )
    for bound in bounds:
        hits.add_metric((bound.name,), bound.hits)
    yield hits


def _of_history(history: HistoryNumbers) -> Iterator[Metric]:
    kind_result = ("kind", "result")
    counted = [
        (
            kind,
            state,
            [tally for tally in history.tallies if (tally.kind, tally.state) == (kind, state)],
        )
        for kind in RunKind
        for state in _OVER
    ]
    runs = CounterMetricFamily(f"{_PREFIX}runs", "Runs that are over.", labels=kind_result)
    took = SummaryMetricFamily(
        f"{_PREFIX}run_duration_seconds", "How long runs took that are over.", labels=kind_result
    )
    for kind, state, tallies in counted:
        count = sum(tally.count for tally in tallies)
        runs.add_metric((kind, state), count)
        took.add_metric((kind, state), count, sum(tally.seconds for tally in tallies))
    yield runs
    yield took
    yield _gauge(
        "run_last_finished_timestamp_seconds",
        "When the last run of a kind and result ended.",
        [((kind, state), _last(tallies)) for kind, state, tallies in counted],
        *kind_result,
    )
    at_work = dict.fromkeys(RunKind, 0)
    for tally in history.tallies:
        at_work[tally.kind] += 0 if tally.state.is_over else tally.count
    values = [((kind,), float(count)) for kind, count in at_work.items()]
    yield _gauge("runs_in_progress", "Runs that are not over.", values, "kind")
    yield from _of_restore(history)


def _of_restore(history: HistoryNumbers) -> Iterator[Metric]:
    last = history.last_restore
    result = last.result if last and last.result else {}
    yield _single(
        "last_restore_timestamp_seconds",
        "When the last restore that succeeded ended.",
        _seconds(last.finished_at) if last else None,
    )
    for name, key, text in (
        ("last_restore_duration_seconds", "duration", "How long it took."),
        ("last_restore_rows", "rows_count", "How many rows it restored."),
        ("last_restore_raw_bytes", "raw_size", "Size of the SQL that it restored."),
        ("last_restore_stored_bytes", "size", "What that takes in the backup's file."),
    ):
        yield _single(name, text, _number(result.get(key)))
    size, seconds = (_number(result.get(key)) for key in ("raw_size", "duration"))
    yield _single(
        "last_restore_bytes_per_second",
        "How much SQL it restored in a second, proof included.",
        size / seconds if size is not None and seconds else None,
    )


def _number(value: Json) -> float | None:
    return value if isinstance(value, int | float) else None


def _of_catalogue(metrics: Metrics) -> Iterator[Metric]:
    assert metrics.health is not None  # noqa: S101 - the caller has asked
    entries = metrics.health.survey.entries
    yield _single("catalogue_backups", "Backups that are kept.", len(entries))
    yield _single(
        "catalogue_stored_bytes", "Size of their files.", sum(entry.size for entry in entries)
    )
    yield _single(
        "catalogue_raw_bytes", "Size of the SQL in them.", sum(entry.raw_size for entry in entries)
    )
    yield _single(
        "catalogue_damaged",
        "Backups that are not whole, by a look at them or by their last check.",
        len(metrics.health.faults),
    )
    yield _single("catalogue_unknown", _UNKNOWN, len(metrics.health.survey.unknown))
    newest = {name or UNSCHEDULED: entry for name, entry in metrics.newest.items()}
    for name, text, value in _OF_BACKUP:
        values = [((schedule,), value(entry)) for schedule, entry in newest.items()]
        yield _gauge(f"last_backup_{name}", text, values, "schedule")


def _rate(entry: CatalogueEntry) -> float | None:
    return entry.raw_size / entry.duration if entry.duration > 0 else None


# Of the newest backup of a schedule.
_OF_BACKUP: Final = (
    (
        "timestamp_seconds",
        "When the newest backup began.",
        lambda entry: entry.created_at.timestamp(),
    ),
    ("duration_seconds", "How long it took.", lambda entry: entry.duration),
    ("raw_bytes", "Size of its SQL.", lambda entry: entry.raw_size),
    ("stored_bytes", "Size of its file.", lambda entry: entry.size),
    ("rows", "How many rows it holds.", lambda entry: entry.rows_count),
    ("bytes_per_second", "How much SQL it wrote in a second.", _rate),
)


def _of_schedules(schedules: Iterable[ScheduleNumbers], now: datetime) -> Iterator[Metric]:
    schedules = tuple(schedules)
    for name, text, value in _OF_SCHEDULE:
        values = [((schedule.schedule.name,), value(schedule)) for schedule in schedules]
        yield _gauge(f"schedule_{name}", text, values, "schedule")
    ages = [
        ((schedule.schedule.name,), _age(schedule.last_success_at, now)) for schedule in schedules
    ]
    yield _gauge("schedule_last_success_age_seconds", "How long ago that was.", ages, "schedule")
    missed = CounterMetricFamily(
        f"{_PREFIX}schedule_missed", "Due times that nobody served in time.", labels=("schedule",)
    )
    for schedule in schedules:
        missed.add_metric((schedule.schedule.name,), schedule.schedule.missed)
    yield missed


def _succeeded(numbers: ScheduleNumbers) -> float | None:
    schedule = numbers.schedule
    return float(not schedule.last_error) if schedule.last_run_at else None


_OF_SCHEDULE: Final = (
    ("enabled", "Whether it is.", lambda numbers: float(numbers.schedule.enabled)),
    (
        "last_run_timestamp_seconds",
        "When it last began a backup.",
        lambda numbers: _seconds(numbers.schedule.last_run_at),
    ),
    ("last_run_success", "Whether its last run that is over did not fail.", _succeeded),
    (
        "last_success_timestamp_seconds",
        "When its last backup began.",
        lambda numbers: _seconds(numbers.last_success_at),
    ),
    (
        "next_due_timestamp_seconds",
        "The first due time that no backup has served; in the past: it is late.",
        lambda numbers: _seconds(numbers.next_due_at),
    ),
    (
        "overdue",
        "Whether that is longer ago than BACKSTAY_OVERDUE_MINUTES.",
        lambda numbers: float(numbers.is_overdue),
    ),
)


def _of_stores(report: CopiesReport) -> Iterator[Metric]:
    """Tell of each store what was so at the last look; nothing of what nobody has seen yet."""
    stores = [place for place in report.places if place.name]
    # Right after a start nobody has looked yet, which is no loss of copies.
    if all(place.looked_at or place.error for place in stores):
        yield _single("copies", "Copies of the data, the live data among them.", report.copies)
        yield _single("copies_offsite", "Copies of them that are off-site.", report.offsite)
    tried = [
        ((place.name,), float(place.is_known)) for place in stores if place.looked_at or place.error
    ]
    yield _gauge("store_up", "Whether the last look at a store was well.", tried, "store")
    seen = [place for place in stores if place.looked_at]
    for name, text, value in _OF_STORE:
        yield _gauge(
            f"store_{name}", text, [((place.name,), value(place)) for place in seen], "store"
        )
    lags = [
        ((place.name,), lag.total_seconds())
        for place in seen
        if (lag := report.lag(place)) is not None
    ]
    yield _gauge(
        "store_lag_seconds", "How far it is behind the newest backup anywhere.", lags, "store"
    )


_OF_STORE: Final[tuple[tuple[str, str, Callable[[PlaceState], float | None]], ...]] = (
    ("looked_timestamp_seconds", "When that was so.", lambda place: _seconds(place.looked_at)),
    ("backups", "Backups in a store.", lambda place: float(place.count)),
    ("stored_bytes", "Size of their files.", lambda place: float(place.size_bytes)),
    (
        "free_bytes",
        "What may still be written there.",
        lambda place: None if place.free_bytes is None else float(place.free_bytes),
    ),
    ("damaged", "Backups there that are not whole.", lambda place: float(place.damaged)),
    ("unknown", _UNKNOWN, lambda place: float(place.unknown)),
    (
        "last_backup_timestamp_seconds",
        "When the newest backup there began.",
        lambda place: _seconds(place.newest.created_at) if place.newest else None,
    ),
    (
        "last_check_timestamp_seconds",
        "When the newest was last read back to its last byte.",
        lambda place: _seconds(place.checked_at),
    ),
    (
        "last_proven_restore_timestamp_seconds",
        "When all of a backup there was last restored and equal.",
        lambda place: _seconds(place.proven_at),
    ),
)


def _of_log(reach: Reach) -> Iterator[Metric]:
    """Tell of the archive of the binary log."""
    overview = reach.overview
    states = [((state.value,), float(state is overview.state)) for state in ArchiverState]
    yield _gauge("binlog_state", "What the archiver of the binary log does.", states, "state")
    yield _single("binlog_lag_seconds", "How far it is behind the server.", overview.lag_seconds)
    size = sum(stream.size for stream in overview.streams)
    yield _single("binlog_archived_bytes", "Size of the archived log, uncompressed.", size)
    yield _single(
        "binlog_window_oldest_timestamp_seconds",
        "From when on every point in time can be recovered.",
        _seconds(reach.spans[-1].begin if reach.spans else None),
    )
    yield _single(
        "binlog_window_newest_timestamp_seconds",
        "Until when points in time can be recovered.",
        _seconds(reach.until),
    )
    copied = [((copy.store,), _seconds(copy.current_as_of)) for copy in overview.copies]
    failing = [((copy.store,), float(bool(copy.code))) for copy in overview.copies]
    text = "Everything that was archived then has been copied to the store."
    yield _gauge("binlog_copied_timestamp_seconds", text, copied, "store")
    yield _gauge("binlog_copy_failing", "Whether the last copy of it failed.", failing, "store")


def _gauge(name: str, text: str, values: Values, *labels: str) -> Metric:
    family = GaugeMetricFamily(_PREFIX + name, text, labels=labels)
    for key, value in values:
        if value is not None:
            family.add_metric(key, value)
    return family


def _single(name: str, text: str, value: float | None) -> Metric:
    return _gauge(name, text, [((), value)])


def _seconds(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None


def _age(instant: datetime | None, now: datetime) -> float | None:
    return (now - instant).total_seconds() if instant else None


def _last(tallies: Iterable[RunTally]) -> float | None:
    found = [tally.last_at for tally in tallies if tally.last_at]
    return max(found).timestamp() if found else None
