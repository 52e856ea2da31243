"""
Ends of runs that the history did not take: kept, and written down later.

In memory, and in a file of the state directory where its disk allows; whichever process comes first
writes it down. Not guaranteed: an end that neither the history nor the disk took is lost with its process;
the next start then judges the run by what is there.
"""

import asyncio
import logging
from typing import Final

from app.domain.runs.ends import decode_end, encode_end
from app.domain.runs.run import Run
from app.domain.stores import RunStore
from app.errors import AppError, ConflictError, ControlUnavailableError
from app.storage.run_ends import RunEndFiles


_log: Final = logging.getLogger(__name__)


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
                    await write_down(self._store, run)
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


async def write_down(store: RunStore, run: Run) -> None:
    """Write a run down as it is, whether or not the history knows it already."""
    try:
        _ = await store.add(run)
    except ConflictError:  # it does: no two runs have one id
        _ = await store.save(run)
