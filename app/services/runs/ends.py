"""
Ends of runs that the history did not take: kept, and written down later.

In memory, and in a file of the state directory where its disk allows; whichever process comes first
writes it down. A result that is longer than a statement of the control database may be is left out: an end
that no database takes would be tried for ever, and all that comes after it with it. Not guaranteed: an end
that neither the history nor the disk took is lost with its process; the next start then judges the run by
what is there.
"""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Final

from app.domain.runs.ends import decode_end, encode_end
from app.domain.runs.progress import JournalLine
from app.domain.runs.run import Run, RunId
from app.domain.stores import RunStore
from app.errors import AppError, ConflictError, ControlUnavailableError, RunNotFoundError
from app.storage.run_ends import RunEndFiles


_log: Final = logging.getLogger(__name__)
# Servers take 1 MiB in a statement at least, unless somebody wants less.
_ALWAYS_FITS: Final = 256 << 10
_ATTEMPTS: Final = 2


class RunEnds:
    """The ends that are not in the history yet."""

    def __init__(self, store: RunStore, files: RunEndFiles | None = None) -> None:
        self._store = store
        self._files = files  # None = in memory alone
        self._unwritten: dict[str, Run] = {}

    def find(self, run_id: str) -> Run | None:
        """Return a run that has ended here, and whose end is not written down."""
        return self._unwritten.get(run_id)

    async def keep(self, run: Run) -> None:
        """Keep an end; never raises an error of ours."""
        self._unwritten[run.run_id] = run
        if self._files is None:
            return
        try:
            await asyncio.to_thread(self._files.save, run.run_id, encode_end(run))
        except AppError as exc:
            facts = {"run": run.run_id, "error": str(exc)}
            _log.warning("The end of a run is kept in memory alone", extra={"facts": facts})

    async def kept(self) -> set[str]:
        """Return the runs whose ends are kept, by this process or any other of the installation."""
        names = await asyncio.to_thread(self._files.names) if self._files else set()
        return names | set(self._unwritten)

    async def write(self) -> None:
        """
        Write down what is kept.

        One that is refused, or whose file cannot be read, is still kept, and holds up no other.

        Raises:
            ControlUnavailableError: The history takes nothing yet; all is still kept.
            StorageError: The state directory cannot be read.
        """
        for run_id in sorted(await self.kept()):
            try:
                run = self._unwritten.get(run_id) or await self._read(run_id)
                if run is not None:
                    await write_end(self._store, run)
                await self._forget(run_id)
                if run is None:  # damaged, which was told; or another process was faster
                    continue
            except ControlUnavailableError:
                raise
            except AppError as exc:
                facts = {"run": run_id, "error": str(exc)}
                _log.warning("The end of a run could not be written down", extra={"facts": facts})
            else:
                _log.info(
                    "The end of a run was written down late", extra={"facts": {"run": run_id}}
                )

    async def _read(self, run_id: str) -> Run | None:
        """Read what a process has left; None for what cannot be understood, which is told."""
        assert self._files is not None  # noqa: S101 - it is from there that the run is known
        data = await asyncio.to_thread(self._files.find, run_id)
        try:
            return None if data is None else decode_end(data)
        except ValueError:
            facts = {"run": run_id}
            _log.warning(
                "The kept end of a run is damaged; it is judged anew", extra={"facts": facts}
            )
            return None

    async def _forget(self, run_id: str) -> None:
        if self._files is not None:
            await asyncio.to_thread(self._files.remove, run_id)
        self._unwritten.pop(run_id, None)


async def write_end(store: RunStore, run: Run) -> None:
    """
    Write down how a run ended; without its result where that is too long for the database.

    A server ends the connection of whoever sends a statement that is too long, as it does when it dies. So a
    long one is tried twice, and the server answers in between: then it is the length.

    Raises:
        ControlUnavailableError: The history takes nothing now.
    """
    length = len(json.dumps(run.result))
    for _ in range(_ATTEMPTS):
        try:
            await write_down(store, run)
        except ControlUnavailableError:
            if length <= _ALWAYS_FITS:
                raise
            with suppress(RunNotFoundError):
                await store.get(RunId(run.run_id))
        else:
            return
    await write_down(store, _shortened(run, length))
    facts = {"run": run.run_id, "bytes": length}
    _log.warning("The result of a run is too long for the control database", extra={"facts": facts})


def _shortened(run: Run, length: int) -> Run:
    """Leave the result out, and say so among what happened."""
    if run.progress is None:
        return replace(run, result=None)
    text = (
        f"its result, {length:,} bytes, is not in the history: the control database takes no statement"
        " of that length (max_allowed_packet)"
    )
    line = JournalLine(run.progress.elapsed, text)
    journal = (*run.progress.journal, line)
    return replace(run, result=None, progress=replace(run.progress, journal=journal))


async def write_down(store: RunStore, run: Run) -> None:
    """Write a run down as it is, whether or not the history knows it already."""
    try:
        _ = await store.add(run)
    except ConflictError:  # it does: no two runs have one id
        _ = await store.save(run)
