"""`schedule.json` in the backup directory; all calls block, async callers use threads."""

from collections.abc import Callable
from typing import Final

from app.domain.schedule import Schedule, decode_schedules, encode_schedules
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
