"""What a server says about itself, and whether it is the one that was backed up."""

import hashlib
from collections.abc import Iterable
from typing import Final

from app.domain.backups.manifest import Manifest, ServerEntry
from app.engine.flavor import LOAD_SESSION, REFUSING_VARIABLES, series_of
from app.engine.server.connection import Session
from app.engine.server.variables import is_same
from app.engine.sql.quoting import quote_text
from app.errors import PermissionDeniedError, StatementError


_STRICT: Final = "STRICT_TRANS_TABLES"
# Which server it is, and what decides about definitions there in spite of all that our sessions set: a
# server may refuse what another one printed, or print it otherwise. A name that it does not know is left out.
# Sources: mariadb.com/kb/en/innodb-system-variables, /server-system-variables;
# dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html, /server-system-variables.html.
_SETTINGS: Final = (
    "server_uid",
    "server_uuid",
    *sorted(REFUSING_VARIABLES),
    "character_set_collations",
    "default_table_encryption",
    "disabled_storage_engines",
    "enforce_storage_engine",
    "innodb_default_row_format",
    "innodb_encrypt_tables",
    "innodb_file_per_table",
    "innodb_force_primary_key",
    "innodb_ft_server_stopword_table",
    "innodb_page_size",
    "innodb_read_only_compressed",
    "lower_case_table_names",
    "old_mode",
    "table_encryption_privilege_check",
)
LOADED_FUNCTIONS: Final = "SELECT name FROM mysql.func"
# Those that MySQL brings along are of EPSG.
REFERENCE_SYSTEMS: Final = (
    "SELECT CONCAT(SRS_ID, ' ', SRS_NAME) FROM information_schema.ST_SPATIAL_REFERENCE_SYSTEMS"
    " WHERE SRS_ID <> 0 AND COALESCE(ORGANIZATION, '') <> 'EPSG'"
)
# What definitions may name, people add and take away, and no backup holds; noted where there is any.
_ADDED: Final = {
    "libraries": "SELECT CONCAT(LIBRARY_SCHEMA, '.', LIBRARY_NAME) FROM information_schema.LIBRARIES",
    "loaded functions": LOADED_FUNCTIONS,
    "reference systems": REFERENCE_SYSTEMS,
}


async def read_server(session: Session) -> ServerEntry:
    """Describe the server."""
    text = (
        await session.texts(
            "SELECT VERSION(), @@GLOBAL.sql_mode, @@GLOBAL.character_set_server,"
            " @@GLOBAL.collation_server, @@GLOBAL.lower_case_table_names,"
            " @@GLOBAL.max_allowed_packet, @@GLOBAL.time_zone",
        )
    )[0]
    return ServerEntry(
        vendor=session.flavor.vendor,
        version=text[0],
        sql_mode=text[1],
        charset=text[2],
        collation=text[3],
        lower_case_table_names=int(text[4]),
        max_allowed_packet=int(text[5]),
        time_zone=text[6],
        settings=await _read_settings(session),
    )


async def is_known(session: Session, manifest: Manifest) -> bool:
    """Tell whether a server is of the backup's vendor, and not of an older series."""
    version = await session.scalar("SELECT VERSION()")
    is_older = series_of(version) < series_of(manifest.server.version)
    return session.flavor.vendor == manifest.server.vendor and not is_older


async def takes_what_it_printed(session: Session, manifest: Manifest) -> bool:
    """
    Tell whether a server is bound to take the definitions of a backup.

    Args:
        session: In the loading state, as far as this user may set it.
        manifest: Of the backup.

    Returns:
        True on the server that was backed up, if it is still set as it was; false where nobody knows.
    """
    if manifest.server.settings != await _read_settings(session):
        return False
    names = _listed(REFUSING_VARIABLES)
    rows = await session.texts(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})")
    may_set = all(is_same(LOAD_SESSION[name], value) for name, value in rows)
    return may_set and await is_known(session, manifest)


async def strictness(session: Session) -> str:
    """
    Return the mode in which sessions of this server make views, as far as a view's columns show it.

    MySQL keeps in its dictionary whether a column of a view may be NULL, and its default: in strict mode a
    conversion may. It works that out anew, as without that mode, when a table beneath is altered or renamed;
    a query goes by the mode of its own session. So this is no property of a view, but what programs find that
    read information_schema.

    Returns:
        A value of sql_mode; empty where sessions are not strict, or the server keeps nothing of it.
    """
    if not session.flavor.keeps_view_columns:
        return ""
    usual = await session.scalar("SELECT @@GLOBAL.sql_mode")
    return _STRICT if _STRICT in usual or "STRICT_ALL_TABLES" in usual else ""


async def _read_settings(session: Session) -> tuple[tuple[str, str], ...]:
    rows = await session.texts(
        f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({_listed(_SETTINGS)})"
    )
    settings = [(name, value) for name, value in rows]
    for what, query in _ADDED.items():
        try:
            names = sorted(name for (name,) in await session.texts(query))
        except (StatementError, PermissionDeniedError):
            continue  # the server has no such thing, or does not show it to this user
        if names:
            digest = hashlib.sha256("\0".join(names).encode()).hexdigest()
            settings.append((what, f"{len(names)} {digest[:16]}"))
    return tuple(sorted(settings))


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quote_text, names))
