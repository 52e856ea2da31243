"""What the server holds now, to choose from, and what of it a backup would hold."""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Final

from app.concurrency import run_in_thread
from app.domain.ports import Clock
from app.domain.server.inventory import FoundPattern, Inventory, InventoryTable, Selection
from app.engine.schema.databases import folds_names, read_schemas
from app.engine.schema.listing import read_sizes
from app.engine.server.server import Server
from app.engine.sql.quoting import matches
from app.errors import StalledError
from app.telemetry.bugs import heard


_log: Final = logging.getLogger(__name__)


_FRESH_SECONDS: Final = 10.0
# A server that has not opened ten thousand tables yet takes some seconds.
_READ_SECONDS: Final = 60.0
_STALLED: Final = "the server did not list its tables within {:g} s"
_INSTEAD: Final = "Names and patterns work without the list."
_WILD: Final = frozenset("*?[")


class InventoryService:
    """Lists what the server holds, and changes nothing; while somebody types, one look serves many questions."""

    def __init__(self, server: Server, clock: Clock) -> None:
        self._server = server
        self._clock = clock
        # One look at a time, for all who ask; it goes on when they wait no longer.
        self._look: asyncio.Task[Inventory] | None = None
        self._looked_at = 0.0

    async def read(self, within: float = _READ_SECONDS, *, anew: bool = True) -> Inventory:
        """
        List databases and tables.

        Args:
            within: Seconds that whoever asks has time.
            anew: Whether nothing serves that was found in the last ten seconds.

        Returns:
            All that the account may see.

        Raises:
            NoServerError: Its address is not known yet.
            ConnectionFailedError: It does not answer, or refuses the login.
            StalledError: It takes longer; the list may be there when somebody asks once more.
            StatementError: It does not list them.
        """
        look = self._look
        oldest = self._clock.monotonic() - (0.0 if anew else _FRESH_SECONDS)
        if look is None or (look.done() and self._looked_at <= oldest):
            self._look = look = asyncio.create_task(self._read(), name="inventory")
            look.add_done_callback(heard(_log, "The list of what the server holds"))
        await asyncio.wait({look}, timeout=within)
        if not look.done():
            raise StalledError(_STALLED.format(within), hint=_INSTEAD)
        return look.result()

    async def _read(self) -> Inventory:
        try:
            async with asyncio.timeout(_READ_SECONDS), self._server.session() as session:
                names = tuple(schema.name for schema in await read_schemas(session, ()))
                tables = tuple(await read_sizes(session, names))
                return Inventory(names, tables, await folds_names(session))
        except TimeoutError as exc:
            raise StalledError(_STALLED.format(_READ_SECONDS), hint=_INSTEAD) from exc
        finally:
            self._looked_at = self._clock.monotonic()

    async def select(
        self,
        databases: Sequence[str],
        tables: Sequence[str],
        exclude_tables: Sequence[str],
        *,
        within: float = _READ_SECONDS,
        anew: bool = True,
    ) -> Selection:
        """
        Tell what a backup would hold if it were made now.

        Args:
            databases: Names; empty = that of the address, or all.
            tables: Patterns of what is taken; empty = all.
            exclude_tables: Patterns of what is left out.
            within: Seconds that whoever asks has time.
            anew: Whether nothing serves that was found in the last ten seconds.

        Returns:
            What is taken, what is not, and what each pattern means. Raises as `read`.
        """
        inventory = await self.read(within, anew=anew)
        usual = (self._server.database,) if self._server.database else ()
        wanted = tuple(databases) or usual
        return await run_in_thread(lambda: select(inventory, wanted, tables, exclude_tables))


def select(
    inventory: Inventory,
    databases: Sequence[str],
    tables: Sequence[str],
    exclude_tables: Sequence[str],
) -> Selection:
    """Apply names and patterns as a backup does; no databases = all."""
    named = _folded(inventory, databases)
    names = set(named or inventory.databases)
    meant = [table for table in inventory.tables if table.database in names]
    found = [
        *_found(inventory, meant, tables, leaves_out=False),
        *_found(inventory, meant, exclude_tables, leaves_out=True),
    ]
    included = {table for pattern in found if not pattern.leaves_out for table in pattern.tables}
    excluded = {table for pattern in found if pattern.leaves_out for table in pattern.tables}
    taken = {
        table for table in meant if table not in excluded and (not tables or table in included)
    }
    return Selection(
        taken=tuple(table for table in meant if table in taken),
        left_out=tuple(table for table in meant if table not in taken),
        patterns=tuple(found),
        missing=tuple(name for name in named if name not in inventory.databases),
    )


def _folded(inventory: Inventory, names: Iterable[str]) -> list[str]:
    found = dict.fromkeys(names)
    return [name.lower() for name in found] if inventory.folds_names else list(found)


def _found(
    inventory: Inventory,
    meant: Sequence[InventoryTable],
    patterns: Iterable[str],
    *,
    leaves_out: bool,
) -> Iterable[FoundPattern]:
    by_name: dict[str, list[InventoryTable]] = {}
    for table in meant:
        for name in {table.name, table.label}:
            by_name.setdefault(name, []).append(table)
    for pattern in _folded(inventory, patterns):
        # Most are names: those are looked up, as there may be thousands of both.
        found = (
            [table for table in meant if matches(table.database, table.name, pattern)]
            if _WILD & set(pattern)
            else by_name.get(pattern, [])
        )
        yield FoundPattern(pattern, leaves_out, tuple(found))
