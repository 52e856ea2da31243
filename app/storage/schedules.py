"""`schedule.json` in the backup directory; all calls block, async callers use threads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from app.domain.document import adapter_of
from app.domain.schedule import Schedule, require_cron
from app.domain.sealed import seal, unseal
from app.errors import IntegrityError, InvalidScheduleError
from app.storage import layout
from app.storage.local import LocalDirectory


_MAX_BYTES: Final = 1 << 20


class ScheduleFile:
    """The schedules of one backup directory."""

    def __init__(self, directory: LocalDirectory) -> None:
        self._directory = directory

    def read(self) -> tuple[Schedule, ...]:
        """
        Read all schedules.

        Returns:
            None of them where there is no file.

        Raises:
            IntegrityError: The file cannot be understood.
            StorageError: It cannot be read.
        """
        data = self._directory.find(layout.SCHEDULE, _MAX_BYTES)
        return () if data is None else decode_schedules(data)

    def change(
        self, change: Callable[[tuple[Schedule, ...]], tuple[Schedule, ...]]
    ) -> tuple[Schedule, ...]:
        """
        Replace the schedules by others made of them, in one step.

        Returns:
            What is there now.

        Raises:
            IntegrityError: The file cannot be understood; it is left as it is.
            StorageError: The medium refused; the old file is still there.
        """
        self._directory.prepare()
        with self._directory.locked():
            schedules = change(self.read())
            self._directory.replace(layout.SCHEDULE, encode_schedules(schedules))
        return schedules


@dataclass(frozen=True, slots=True)
class _File:
    schedules: tuple[Schedule, ...]
    version: int = 1


_DAMAGED: Final = "Remove it and set the schedules anew; or, when it was changed on purpose, take out its last key, 'seal'."


def encode_schedules(schedules: tuple[Schedule, ...]) -> bytes:
    """Encode `schedule.json`, sealed."""
    return seal(adapter_of(_File).dump_json(_File(schedules), indent=2))


def decode_schedules(data: bytes) -> tuple[Schedule, ...]:
    """
    Decode `schedule.json`.

    Returns:
        Its schedules, which have due times; names unique or not.

    Raises:
        IntegrityError: It is damaged, or of a newer version, or a schedule in it makes no sense.
    """
    body = unseal(data, _File.__dataclass_fields__)
    if body is None:
        raise IntegrityError("schedule.json: is damaged, or was changed by hand", hint=_DAMAGED)
    try:
        file = adapter_of(_File).validate_json(body)
    except ValidationError as exc:
        raise IntegrityError("schedule.json: cannot be understood", hint=_DAMAGED) from exc
    if file.version != 1:
        raise IntegrityError(
            f"schedule.json: is of version {file.version}", hint="Use a newer release."
        )
    for schedule in file.schedules:
        try:
            require_cron(schedule.expression, schedule.timezone)
            require_cron(schedule.paced_by or schedule.expression, schedule.timezone)
        except InvalidScheduleError as exc:
            raise IntegrityError(
                f"schedule.json: {schedule.name[:32]}: {exc}", hint=_DAMAGED
            ) from exc
    return file.schedules
