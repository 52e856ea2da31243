"""Where retention finds its rules: settings and schedules for the backup directory, its definition for a store."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Protocol

from app.config import Settings
from app.domain.backups.pruning import RetentionPlan
from app.domain.backups.retention import RetentionPolicy
from app.domain.backups.rules import RetentionRules
from app.domain.schedule import Schedule
from app.domain.store_trial import StoreFacts
from app.storage.remote.approved_rules import ApprovedRules
from app.storage.schedules import ScheduleFile


class Rules(Protocol):
    """
    The rules of one place; all calls block.

    Attributes:
        store: Name of the store that they are about; empty = the backup directory.
    """

    store: str

    def read(self, wanted: Schedule | None = None) -> RetentionRules:
        """Read them anew, with a schedule as it may become; raises IntegrityError, StorageError."""
        ...

    def are_approved(self) -> bool:
        """Tell whether backups may go by them when nobody has asked for it."""
        ...

    def approve(self) -> None:
        """Let backups go by them from now on; raises StorageError."""
        ...


class DirectoryRules:
    """Those of the backup directory: of the settings, and of schedules that have their own."""

    store = ""

    def __init__(self, settings: Settings, schedules: ScheduleFile) -> None:
        self._settings = settings
        self._schedules = schedules

    def read(self, wanted: Schedule | None = None) -> RetentionRules:
        """Read them anew, with a schedule as it may become."""
        schedules = _schedules(self._schedules, wanted)
        own = {name: known.retention for name, known in schedules.items() if known.retention}
        return RetentionRules(
            policies={**own, "": policy_of(self._settings)},
            paces=_paces(schedules),
            recovery_point_days=self._settings.recovery_point_days,
        )

    def are_approved(self) -> bool:
        """Tell that settings are."""
        return True

    def approve(self) -> None:
        """Do nothing: they are."""


class StoreRules:
    """
    Those of a store: its own, for the backups of schedules that write there, and for those of no schedule.

    Rules that were changed delete nothing by themselves, until somebody has let them once.

    Args:
        store: Its name.
        find: Reads how it is defined; blocks.
        approved: What somebody has let delete.
        log_days: For how long points in time are wanted; None = the binary log is not copied there.
    """

    def __init__(
        self,
        store: str,
        find: Callable[[str], StoreFacts],
        settings: Settings,
        schedules: ScheduleFile,
        approved: ApprovedRules,
        log_days: float | None = None,
    ) -> None:
        self.store = store
        self._log_days = log_days
        self._find = find
        self._settings = settings
        self._schedules = schedules
        self._approved = approved

    def read(self, wanted: Schedule | None = None) -> RetentionRules:
        """Read them anew."""
        facts, schedules = self._find(self.store), _schedules(self._schedules, wanted)
        return RetentionRules(
            policies={"": facts.retention or RetentionPolicy()},
            paces=_paces(schedules),
            recovery_point_days=self._settings.recovery_point_days,
            writers=frozenset(
                name for name, known in schedules.items() if self.store in known.options.stores
            ),
            locked_for=timedelta(days=facts.object_lock_days),
            off="" if facts.retention else "the store has no retention",
        )

    def are_approved(self) -> bool:
        """Tell whether somebody has let these very rules delete in this very place."""
        return self._approved.are_known(self._find(self.store), self._log_days)

    def approve(self) -> None:
        """Note these rules and this place."""
        self._approved.add(self._find(self.store), self._log_days)


def policy_of(settings: Settings) -> RetentionPolicy:
    """Return the policy of the settings, for all backups whose schedule has none of its own."""
    return RetentionPolicy(
        count=settings.max_backups,
        days=settings.keep_days,
        hourly=settings.keep_hourly,
        daily=settings.keep_daily,
        weekly=settings.keep_weekly,
        monthly=settings.keep_monthly,
        yearly=settings.keep_yearly,
        max_days=settings.max_days,
        max_bytes=settings.max_total_bytes,
    )


def _schedules(file: ScheduleFile, wanted: Schedule | None) -> Mapping[str, Schedule]:
    known = {schedule.name: schedule for schedule in file.read()}
    return known if wanted is None else {**known, wanted.name: wanted}


def _paces(schedules: Mapping[str, Schedule]) -> Mapping[str, timedelta]:
    return {name: schedule.pace for name, schedule in schedules.items()}


def unapproved(store: str, plan: RetentionPlan) -> tuple[str, str]:
    """Say what changed rules would delete, and how somebody lets them."""
    backups, segments = len(plan.deleted), sum(pruning.segments for pruning in plan.pruned_log)
    counted = [
        "1 backup" if backups == 1 else f"{backups} backups",
        f"copies of the binary log ({segments} segments)",
    ]
    going = " and ".join(counted[not plan.deleted : 2 if plan.pruned_log else 1])
    message = (
        f"the rules of the store {store} are new or changed, and {going} would go by them;"
        " nothing is deleted there until somebody lets them"
    )
    hint = (
        f"'backstay backup prune --store {store} --dry-run' names them; without --dry-run they go,"
        " and what comes after them goes by itself."
    )
    return message, hint
