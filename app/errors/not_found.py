"""The identifier names nothing."""

from app.errors.root import AppError


class NotFoundError(AppError):
    """The identifier names nothing."""

    code = "not-found"
    title = "Not found"


class BackupNotFoundError(NotFoundError):
    """No backup has this identifier, or its file is gone."""

    code = "backup-not-found"
    title = "Backup file not found"

    def __init__(
        self, backup_id: str, *, hint: str = "", store: str = "", is_without_data: bool = False
    ) -> None:
        where = f" --store {store}" if store else ""
        told = f"no backup {backup_id!r}"
        if is_without_data:
            told = f"{backup_id}: its data file is gone"
            hint = hint or "Put it back, or delete the backup."
        super().__init__(
            told, hint=hint or f"List the backups there are with 'backstay backup list{where}'."
        )


class RestoreNotFoundError(NotFoundError):
    """No restore has this identifier, or it is over and its tables are not kept any more."""

    code = "recovery-not-found"
    title = "Restore not found"


class DatabaseNotFoundError(NotFoundError):
    """The server has no database of this name, or hides it from this user."""

    code = "database-not-found"
    title = "Database not found"


class TableNotFoundError(NotFoundError):
    """No table matches the name or pattern."""

    code = "table-not-found"
    title = "Table not found"


class RunNotFoundError(NotFoundError):
    """No run has this identifier."""

    code = "run-not-found"
    title = "Run not found"


class UserNotFoundError(NotFoundError):
    """No user of this service has this name."""

    code = "user-not-found"
    title = "User not found"


class ScheduleNotFoundError(NotFoundError):
    """No schedule has this name."""

    code = "schedule-not-found"
    title = "Schedule not found"


class StoreNotFoundError(NotFoundError):
    """No store has this name."""

    code = "store-not-found"
    title = "Store not found"


class ObjectNotFoundError(NotFoundError):
    """The store has no object of this name."""

    code = "object-not-found"
    title = "Object not found"
