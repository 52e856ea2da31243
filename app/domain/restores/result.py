"""What a restore or an undo did, put together from its journal, its swap and its plan."""

from dataclasses import dataclass, field, replace
from typing import Final

from app.domain.restores.journal import Journal, RestorePhase
from app.domain.restores.restore import RestorePlan, RestoreResult


_SKIPPED: Final = (
    "the restore is not in the binary log: make a new backup now, changes after an older one cannot be"
    " applied from the log any more"
)
_NO_FENCE: Final = (
    "this user may not set read_only: what others wrote in the moment between the swap and the triggers"
    " missed the triggers"
)


@dataclass(slots=True)
class SwapReport:
    """
    What a swap did besides moving tables.

    Attributes:
        fence: `read_only`, `none` when the right was missing, `not needed` without triggers and keys.
        tries: How often locks were waited for.
        warnings: What is not as it was, and why.
    """

    fence: str = "not needed"
    tries: int = 0
    warnings: list[str] = field(default_factory=list)


def result_of(journal: Journal, report: SwapReport, seconds: float) -> RestoreResult:
    """Say what a swap did; what a load did is filled in by the caller."""
    restored = [f"{swap.target}.{name}" for swap in journal.swaps for name in swap.incoming]
    gone = {f"{swap.target}.{name}" for swap in journal.swaps for name in swap.outgoing}
    warnings = list(report.warnings)
    if report.fence == "none":
        warnings.append(_NO_FENCE)
    if not journal.logged:
        warnings.append(_SKIPPED)
    kept = journal.phase is RestorePhase.DONE and journal.keep_until is not None
    return RestoreResult(
        restore_id=journal.restore_id,
        backup_id=journal.backup_id,
        databases=journal.targets,
        restored_tables=tuple(sorted(restored)),
        dropped_tables=tuple(sorted(gone - set(restored))),
        rows_count=0,
        raw_size=0,
        size=0,
        verified_before=False,
        verified=False,
        recovery_point=journal.recovery_point,
        undo_until=journal.keep_until if kept else None,
        fence=report.fence,
        binary_log="off",
        duration=seconds,
        warnings=tuple(warnings),
    )


def with_counts(result: RestoreResult, plan: RestorePlan) -> RestoreResult:
    """Say how much was loaded."""
    tables = {
        (load.entry.name, table.name): table for load in plan.loads for table in load.entry.tables
    }
    members = (
        member for member in plan.manifest.members if (member.database, member.table) in tables
    )
    return replace(
        result,
        rows_count=sum(table.rows for table in tables.values()),
        raw_size=sum(table.raw_size for table in tables.values()),
        size=sum(member.size for member in members),
    )
