"""What an archiver does, as a value."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from app.binlog.archive.layout import ARCHIVER
from app.binlog.events.headers import Place
from app.binlog.moments import NEVER, Moment
from app.domain.document import adapter_of
from app.domain.restores.log_archive import ArchiverState, LogFinding
from app.storage.clock_witness import BootClock
from app.storage.local import LocalDirectory


_MOST_BYTES: Final = 1 << 20
_BOOT: Final = BootClock()


@dataclass(frozen=True, slots=True)
class ArchiverStatus:
    """
    What an archiver does.

    Attributes:
        state: In a word.
        stream: Id of the stream that grows; empty before the first.
        archived_end: Behind the last transaction that is on the medium; None while nobody knows.
        current_as_of_ms: Everything that was committed before is archived, milliseconds since 1970; 0 while
            nobody knows.
        boot_id: Which start of the archiver's machine that was; empty while nobody knows.
        boot_seconds: How long the machine had run then.
        code: Of the error that keeps it from going on; empty when none does.
        message: What happened.
        hint: What to do.
        broken_at: When the last stream ended, ISO 8601; empty when none did.
        broken_because: Why.
        findings: What makes the archive less than it could be.
    """

    state: ArchiverState
    stream: str = ""
    archived_end: Place | None = None
    current_as_of_ms: int = 0
    boot_id: str = ""
    boot_seconds: float = 0.0
    code: str = ""
    message: str = ""
    hint: str = ""
    broken_at: str = ""
    broken_because: str = ""
    findings: tuple[LogFinding, ...] = ()

    @property
    def current(self) -> Moment:
        """Everything that was committed before is archived; `NEVER` while nobody knows."""
        known = Moment(self.current_as_of_ms, self.boot_seconds)
        return known if self.current_as_of_ms else NEVER

    def lag_seconds(self, now: datetime, boot: BootClock = _BOOT) -> float | None:
        """
        Tell how old what is archived is, by a clock that nobody sets where that is the archiver's, too.

        Returns:
            None while nobody knows: before the first news, and on another machine with a clock that is behind.
        """
        if not self.current_as_of_ms:
            return None
        if self.boot_id and self.boot_id == boot.boot_id():
            return max(0.0, boot.seconds() - self.boot_seconds)
        age = now.timestamp() - self.current_as_of_ms / 1000
        return age if age >= 0 else None


def write_status(root: LocalDirectory, status: ArchiverStatus) -> None:
    """Tell other processes what an archiver does; raises StorageError."""
    data = adapter_of(ArchiverStatus).dump_json(status) + b"\n"
    if root.is_there() and root.find(ARCHIVER, _MOST_BYTES) != data:
        root.replace(ARCHIVER, data)


def read_status(root: LocalDirectory) -> ArchiverStatus:
    """Read what an archiver has told last; raises StorageError."""
    data = root.find(ARCHIVER, _MOST_BYTES)
    if data is not None:
        with suppress(ValidationError):  # of another version
            return adapter_of(ArchiverStatus).validate_json(data)
    return ArchiverStatus(ArchiverState.CONNECTING)
