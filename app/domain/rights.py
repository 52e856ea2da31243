"""
Who may do what: rights by effect, in one table.

Each operation of the API has the effect that it has at most in ordinary use, and each effect the least
role that may have it. Where a request may do more harm than its operation, such as a schedule that keeps
less, it needs the right of that effect as well. Routes, the API's document and docs/api.md are made of
this table or compared with it; an operation without a row is refused.

Commands ask for no role: whoever may read and write the directories may do everything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.domain.access.user import Role
from app.domain.runs.run import RunKind
from app.domain.schedule import Schedule, ScheduleKind, ScheduleOptions
from app.errors import NotAuthorizedError


class Effect(StrEnum):
    """What comes of a request."""

    ANSWER = "answer"
    READ = "read"
    BACK_UP = "back up"
    SCHEDULE = "schedule"
    KEEP_LESS = "keep less"
    DELETE = "delete"
    RESTORE = "restore"
    TAKE = "take"
    GOVERN = "govern"


@dataclass(frozen=True, slots=True)
class Right:
    """
    Who may have an effect.

    Attributes:
        least: The least role; None = everybody, also without a login.
        meaning: What the effect is, for people.
    """

    least: Role | None
    meaning: str


RIGHTS: Final[Mapping[Effect, Right]] = {
    Effect.ANSWER: Right(None, "proves who somebody is, or tells whether the service works"),
    Effect.READ: Right(Role.VIEWER, "reads everything but users, the audit and the files"),
    Effect.BACK_UP: Right(
        Role.OPERATOR,
        "makes, verifies, drills and pins backups, stops such runs, and sees what the server holds",
    ),
    Effect.SCHEDULE: Right(
        Role.OPERATOR, "says when backups are made by themselves, and that they hold more"
    ),
    Effect.KEEP_LESS: Right(
        Role.ADMIN, "lets go what was kept: retention, pins, schedules and what they hold"
    ),
    Effect.DELETE: Right(Role.ADMIN, "deletes backups"),
    Effect.RESTORE: Right(Role.ADMIN, "changes a database"),
    Effect.TAKE: Right(Role.ADMIN, "takes the rows of a database away"),
    Effect.GOVERN: Right(
        Role.ADMIN, "manages users, reads the audit, sends test alerts, tests stores"
    ),
}

# By the name of the operation in the API's document.
OPERATIONS: Final[Mapping[str, Effect]] = {
    "log_in": Effect.ANSWER,
    "refresh": Effect.ANSWER,
    "log_out": Effect.READ,
    "who_am_i": Effect.READ,
    "list_backups": Effect.READ,
    "get_backup": Effect.READ,
    "list_tables": Effect.BACK_UP,
    "create_backup": Effect.BACK_UP,
    "create_recovery_point": Effect.BACK_UP,
    "verify_backup": Effect.BACK_UP,
    "copy_backup": Effect.BACK_UP,
    "delete_backup": Effect.DELETE,
    "download_backup": Effect.TAKE,
    "prune_backups": Effect.DELETE,
    "pin_backup": Effect.BACK_UP,
    "unpin_backup": Effect.KEEP_LESS,
    "get_recovery_options": Effect.READ,
    "restore_backup": Effect.RESTORE,
    "rehearse_restore": Effect.BACK_UP,
    "undo_restore": Effect.RESTORE,
    "start_recovery": Effect.BACK_UP,
    "get_schedule": Effect.READ,
    "set_schedule": Effect.SCHEDULE,
    "delete_schedule": Effect.KEEP_LESS,
    "run_scheduled": Effect.SCHEDULE,
    "get_status": Effect.READ,
    "list_runs": Effect.READ,
    "get_run": Effect.READ,
    "watch_run": Effect.READ,
    "cancel_run": Effect.BACK_UP,
    "list_alerts": Effect.READ,
    "send_test_alert": Effect.GOVERN,
    "list_stores": Effect.GOVERN,
    "test_store": Effect.GOVERN,
    "get_binlog_status": Effect.READ,
    "list_binlog_transactions": Effect.READ,
    "list_users": Effect.GOVERN,
    "create_user": Effect.GOVERN,
    "get_user": Effect.GOVERN,
    "change_user": Effect.GOVERN,
    "list_audit": Effect.GOVERN,
    "verify_audit": Effect.GOVERN,
    "is_alive": Effect.ANSWER,
    "is_ready": Effect.ANSWER,
    "get_metrics": Effect.ANSWER,
}
# What only pages do: by its name there.
PAGES: Final[Mapping[str, Effect]] = {
    "get_asset": Effect.ANSWER,
    "set_up": Effect.ANSWER,
    "connect_server": Effect.GOVERN,
    "examine_server": Effect.READ,
    "repeat_run": Effect.BACK_UP,
    "repair_restores": Effect.RESTORE,
    "change_password": Effect.READ,
    "get_settings": Effect.GOVERN,
    "get_runbook": Effect.READ,
}

# To stop one is to decide about its effect.
_OF_RUNS: Final[Mapping[RunKind, Effect]] = {
    RunKind.BACKUP: Effect.BACK_UP,
    RunKind.RECOVERY_POINT: Effect.BACK_UP,
    RunKind.VERIFICATION: Effect.BACK_UP,
    RunKind.DRILL: Effect.BACK_UP,
    RunKind.DRY_RUN: Effect.BACK_UP,
    RunKind.COPY: Effect.BACK_UP,
    RunKind.RECOVERY: Effect.BACK_UP,
    RunKind.RECOVERY_DRILL: Effect.BACK_UP,
    RunKind.DELETION: Effect.DELETE,
    RunKind.PRUNE: Effect.DELETE,
    RunKind.RESTORE: Effect.RESTORE,
    RunKind.UNDO: Effect.RESTORE,
}


def least_role(operation: str) -> Role | None:
    """Return who may ask for an operation at least, None for everybody; raises KeyError without a row."""
    effect = OPERATIONS.get(operation) or PAGES[operation]
    return RIGHTS[effect].least


def may(role: Role, effect: Effect) -> bool:
    """Tell whether a role may have an effect."""
    least = RIGHTS[effect].least
    return least is None or role.allows(least)


def require(role: Role, effect: Effect, act: str) -> None:
    """
    Refuse a role that may not have an effect.

    Args:
        role: Of whoever asks.
        effect: What would come of it.
        act: What they want to do, for people: `to stop a restore`.

    Raises:
        NotAuthorizedError: The role is not enough.
    """
    if not may(role, effect):
        raise NotAuthorizedError(
            f"the role {RIGHTS[effect].least} is needed {act}", hint="Ask an admin."
        )


def require_run(role: Role, kind: RunKind) -> None:
    """Refuse a role that may not stop such runs; raises NotAuthorizedError."""
    require(role, _OF_RUNS[kind], f"to stop a {kind}")


def may_stop(role: Role, kind: RunKind) -> bool:
    """Tell whether a role may stop such runs."""
    return may(role, _OF_RUNS[kind])


def require_schedule(role: Role, known: Schedule | None, wanted: Schedule) -> None:
    """
    Refuse a role that may say when backups are made, but not that less is kept.

    Args:
        role: Of whoever asks.
        known: The schedule as it is; None = there is none of this name.
        wanted: As it shall be.

    Raises:
        NotAuthorizedError: The change would keep or hold less, and the role may not do that.
    """
    if wanted.retention != (known.retention if known else None):
        require(role, Effect.KEEP_LESS, "to change what a schedule keeps")
    # Where the archive ends, it makes nothing more.
    if wanted.kind is ScheduleKind.SYNTHETIC and known and known.kind is not wanted.kind:
        require(role, Effect.KEEP_LESS, "for a schedule that reads the server no more")
    if known and (lost := _lost(known.options, wanted.options)):
        require(role, Effect.KEEP_LESS, f"for a schedule that backs up less: {lost}")


def _lost(known: ScheduleOptions, wanted: ScheduleOptions) -> str:
    """Name the first option by which backups would hold less, or be proven less; empty = none."""
    held = {
        "databases": _holds(known.databases, wanted.databases, all_is_widest=False),
        "tables": _holds(known.tables, wanted.tables, all_is_widest=True),
        "exclude_tables": set(wanted.exclude_tables) <= set(known.exclude_tables),
        "include_data": wanted.include_data or not known.include_data,
        "verify": wanted.verify in {known.verify, True},
        "copies": set(wanted.copies) >= set(known.copies),
        "store": wanted.store == known.store,
    }
    return next((name for name, is_held in held.items() if not is_held), "")


def _holds(known: tuple[str, ...], wanted: tuple[str, ...], *, all_is_widest: bool) -> bool:
    """Tell whether names still stand for all that they did; none at all is as the settings say."""
    if not known:
        return not wanted
    return set(wanted) >= set(known) or (all_is_widest and not wanted)
