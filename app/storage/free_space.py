"""How many bytes were free where backups are kept, once a day; calls block."""

from datetime import date
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from app.domain.document import adapter_of
from app.errors import StorageError
from app.storage.local import LocalDirectory


_NAME: Final = "free-space.json"
_MAX_BYTES: Final = 64 << 10
# A forecast looks at thirty of them.
_MOST_DAYS: Final = 60
_Days = dict[date, Annotated[int, Field(ge=0)]]


class FreeSpaceFile:
    """
    A file in the state directory; one that is lost or damaged begins anew.

    Args:
        state_dir: Where the program keeps its own state.
    """

    def __init__(self, state_dir: Path) -> None:
        self._directory = LocalDirectory(state_dir / "monitoring")

    def read(self) -> dict[date, int]:
        """Return free bytes by day; empty when nothing is known."""
        try:
            data = self._directory.find(_NAME, _MAX_BYTES)
            return {} if data is None else adapter_of(_Days).validate_json(data)
        except (StorageError, ValidationError):
            return {}

    def note(self, day: date, free: int) -> None:
        """Note what is free on a day, unless it was noted before; raises StorageError."""
        known = self.read()
        if day in known:
            return
        days = sorted({**known, day: free}.items())[-_MOST_DAYS:]
        self._directory.prepare()
        self._directory.replace(_NAME, adapter_of(_Days).dump_json(dict(days)))
