"""The JSON documents about retention, the same for every edge."""

from collections.abc import Mapping

from app.domain.backups.check_notes import Notes, Pin
from app.domain.backups.retention import PruneResult, RetentionDecision, RetentionPlan
from app.domain.document import Document
from app.services.backups.pins import UNREADABLE
from app.services.backups.retention import HARMLESS
from app.services.runs.failures import without_paths


def retention_plan(plan: RetentionPlan) -> Document:
    """Tell what would become of all backups: `delete` and `keep`, newest first, each with why."""
    gone = [verdict for verdict in plan.verdicts if not verdict.is_kept]
    return {
        "success": True,
        "dry_run": True,
        "delete": [_verdict(one) for one in gone],
        "keep": [_verdict(verdict) for verdict in plan.verdicts if verdict.is_kept],
        "freed_bytes": sum(one.item.size for one in gone),
        "clock": str(plan.clock) if plan.clock else None,
    }


def prune_result(result: PruneResult) -> Document:
    """Tell what was deleted; what came between is no failure, as the next prune looks again."""
    return {
        "success": all(isinstance(error, HARMLESS) for _, error in result.failed),
        "deleted": [_deleted(one) for one in result.deleted],
        "kept": result.kept,
        "freed_bytes": sum(one.item.size for one in result.deleted),
        "failed": [
            {
                "backup_id": one.item.backup_id,
                "code": error.code,
                "message": without_paths(str(error)),
            }
            for one, error in result.failed
        ],
    }


def pin_changed(backup_id: str, notes: Notes) -> Document:
    """Tell whether a backup is pinned now."""
    pins = {backup_id: notes.pin} if notes.pin else {}
    return {"success": True, "backup_id": backup_id, "pin": pin_of(backup_id, pins)}


def pin_of(backup_id: str, pins: Mapping[str, Pin | None]) -> Document | None:
    """Describe the pin of a backup; None = it is not pinned."""
    if backup_id not in pins:
        return None
    pin = pins[backup_id]
    if pin is None:
        return {"at": None, "by": "", "reason": UNREADABLE}
    return {"at": pin.at.isoformat(), "by": pin.by, "reason": pin.reason}


def _deleted(verdict: RetentionDecision) -> Document:
    return {
        "backup_id": verdict.item.backup_id,
        "reason": verdict.reason,
        "size": verdict.item.size,
    }


def _verdict(verdict: RetentionDecision) -> Document:
    item = verdict.item
    return {
        "backup_id": item.backup_id,
        "created_at": f"{item.created_at:%Y-%m-%d %H:%M:%S}",
        "schedule": item.schedule or None,
        "recovery_point": item.is_recovery_point,
        "size": item.size,
        "reason": verdict.reason,
    }
