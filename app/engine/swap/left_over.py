"""
Files that lie where tables are to come.

An .ibd whose table is gone is in no list of a server: it is found when a table gets that name, which is the
last thing that a restore does. So a table of ours is given the names before, in a RENAME that cannot succeed:
whatever the server did of it until it came to a table that does not exist, it undoes, and others see none of
it. A table may have been one that foreign keys of others name: MariaDB would have them follow the one of ours,
and stay with it, so it has no column that they could name. What has partitions has a file for each, so the one
that is given its name has partitions of the same names. Files of other engines are written over.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

from app.domain.backups.manifest import Manifest
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.engine.load.archived import iter_definitions
from app.engine.schema.databases import exists, list_tables
from app.engine.server.connection import Session
from app.engine.sql.quoting import qualified, quote
from app.engine.swap.partitions import partitioned_alike
from app.errors import ConflictError, StatementError


# In the server's words for a file that bars the way.
_WORDS: Final = "Tablespace already exists"
_NO_SUCH_TABLE: Final = 1146
LEFT_OVER_HINT: Final = (
    "An .ibd file of that name, of a table that is gone, lies in the live database's directory on the"
    " server: move it away, then restore again. The live data is as it was."
)
# Measured: 3 ms a table, as the swap itself takes.
_AT_ONCE: Final = 100


def is_left_over(exc: StatementError) -> bool:
    """Tell whether a file bars the way of a table."""
    return _WORDS in str(exc)


async def list_coming(session: Session, load: DatabaseLoad) -> list[str]:
    """List the tables of a load whose names nobody has now, where there could be a file in their place."""
    if not await exists(session, load.target):
        return []
    live = {table.name for table in await list_tables(session, load.target)}
    return [
        entry.name
        for entry in load.entry.tables
        if entry.engine == "InnoDB" and entry.name not in live
    ]


async def read_partitions(
    source: MemberSource,
    manifest: Manifest,
    load: DatabaseLoad,
    names: Sequence[str],
    column: str,
) -> dict[str, str]:
    """
    Read how these tables are partitioned.

    Args:
        source: Members of the backup.
        manifest: Of the backup.
        load: Which database.
        names: Of its tables.
        column: By which a table of ours is.

    Returns:
        A clause for each of them, by name; empty for one without partitions.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    wanted = {(load.entry.name, name) for name in names}
    found = {
        name: partitioned_alike(definition, column)
        async for _, name, definition in iter_definitions(source, manifest, wanted)
    }
    return dict.fromkeys(names, "") | found  # sequences have none


async def refuse_left_over(
    session: Session, scratch: str, database: str, clauses: Mapping[str, str]
) -> None:
    """
    Refuse a restore whose tables would find files in their place.

    Args:
        session: May make tables in both.
        scratch: An empty schema of ours; nobody else has its name, for anything.
        database: That is there.
        clauses: Of tables that are not, how they are partitioned by a column of the scratch schema's name.

    Raises:
        ConflictError: A file bars the way; nothing was changed.
    """
    plain = [name for name, clause in clauses.items() if not clause]
    await _make_trial(session, scratch, "")
    for start in range(0, len(plain), _AT_ONCE):
        some = plain[start : start + _AT_ONCE]
        if (await _refused(session, scratch, database, some)).errno == _NO_SUCH_TABLE:
            continue  # it came to the end
        for name in some:  # the server's words name no table but by its file
            _require_free(await _refused(session, scratch, database, [name]), database, name)
    for name, clause in clauses.items():
        if clause:
            await session.define(f"DROP TABLE {qualified(scratch, 'trial')}")
            await _make_trial(session, scratch, clause)
            _require_free(await _refused(session, scratch, database, [name]), database, name)


async def _make_trial(session: Session, scratch: str, clause: str) -> None:
    # Some servers take no table without a primary key.
    await session.define(
        f"CREATE TABLE {qualified(scratch, 'trial')} ({quote(scratch)} INT PRIMARY KEY)"
        f" ENGINE=InnoDB {clause}"
    )


def _require_free(refusal: StatementError, database: str, name: str) -> None:
    if is_left_over(refusal):
        raise ConflictError(f"a file bars the way of table {database}.{name}", hint=LEFT_OVER_HINT)


async def _refused(
    session: Session, scratch: str, database: str, names: Sequence[str]
) -> StatementError:
    """Give names to a table, one after the other, make the server take all of it back, and return why it did."""
    places = [qualified(scratch, "trial"), *(qualified(database, name) for name in names)]
    moves = [f"{old} TO {new}" for old, new in itertools.pairwise(places)]
    moves.append(f"{qualified(scratch, 'absent')} TO {qualified(scratch, 'never')}")
    try:
        await session.query(f"RENAME TABLE {', '.join(moves)}", no_timeout=True)
    except StatementError as exc:
        return exc
    raise AssertionError("a table that does not exist was given a name")
