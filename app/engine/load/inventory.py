"""
Proof that every object of a backup is there after a restore, defined as it was.

Definitions are compared as SHOW CREATE prints them, without the database's own name and without
AUTO_INCREMENT counters. A server of another version may print the same definition otherwise, so then
differences are warnings.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from app.concurrency import share
from app.domain.backups.manifest import Manifest, MemberKind, ObjectKind, ServerEntry
from app.domain.ports import BackupSource
from app.domain.restores.load import DatabaseLoad
from app.engine.flavor import series_of
from app.engine.load.archived import iter_definitions, read_origins
from app.engine.schema.databases import Schema, list_tables, read_schemas
from app.engine.schema.definitions import sequence_digests
from app.engine.schema.objects import Definition, digest, is_defined_as, read_objects
from app.engine.schema.tables import Table, TableRef, show_create, show_definition
from app.engine.server.connection import Session
from app.engine.server.description import read_server
from app.engine.sql import ddl
from app.engine.sql.contained import Origin
from app.engine.sql.events import enabled_event
from app.engine.sql.headers import split_head
from app.engine.sql.quoting import quote
from app.errors import ProofFailedError


# Of SQL outside of quotes, and those of them that tell nothing.
_WORD: Final = re.compile(r"\w+|[^\w\s]")
_SHOWN: Final = re.compile(r"[A-Za-z_]\w*|`(?:[^`]|``)+`")
# Digest by kind and name.
_Inventory: TypeAlias = dict[tuple[str, str], str]


async def prove_definitions(
    sessions: Sequence[Session],
    backup: BackupSource,
    load: DatabaseLoad,
    names: Collection[str],
    *,
    live: bool = False,
    found: dict[str, str] | None = None,
) -> list[str]:
    """
    Compare tables and sequences with what should be.

    Args:
        sessions: They share the tables.
        backup: Open.
        load: Which database.
        names: Which of its tables.
        live: Whether they are read in the target, where sequences may have moved on.
        found: Gets the fingerprints that were read, by name.

    Returns:
        Warnings: differences that are not errors.

    Raises:
        ProofFailedError: A table is missing, or is not what was backed up.
    """
    if not names:
        return []
    database = load.target if live else load.place
    entries = {entry.name: entry for entry in load.entry.tables}
    wanted = _wanted_tables(load, names, {} if live else _wanted_positions(backup.manifest, load))
    there: _Inventory = {}
    late: list[str] = []

    async def read(session: Session, ref: TableRef) -> None:
        table = Table(database, replace(entries[ref.name], sequence=ref.engine == "SEQUENCE"))
        printed, key = await show_create(session, table), ("table", table.name)
        there[key] = _fingerprint(printed, database, wanted[key])
        if ddl.counter_of(printed) < table.entry.counter:
            late.append(table.name)
        if table.entry.sequence:
            key = "position of sequence", table.name
            there[key] = await _position(session, table, wanted.get(key, ""))

    refs = await list_tables(sessions[0], database)
    await share([ref for ref in refs if ("table", ref.name) in wanted], sessions, read)
    _refuse_late(load, late)
    if found is not None:
        found |= {name: digest for (kind, name), digest in there.items() if kind == "table"}
    return await _compare(sessions[0], backup, load, wanted, there)


def _wanted_tables(load: DatabaseLoad, names: Collection[str], positions: _Inventory) -> _Inventory:
    tables = {("table", entry.name): entry.definition_sha256 for entry in load.entry.tables}
    return {key: digest for key, digest in (tables | positions).items() if key[1] in names}


async def _position(session: Session, table: Table, wanted: str) -> str:
    """Digest where a sequence stands as the backup does, in whichever form that says it."""
    forms = await sequence_digests(session, table)
    return wanted if wanted in forms else min(forms)


def _fingerprint(printed: str, database: str, wanted: str) -> str:
    """Digest a definition as the backup does; earlier versions digested remarks of the server too."""
    literal = ddl.fingerprint(printed, database)
    return literal if literal == wanted else ddl.table_fingerprint(printed, database)


def _refuse_late(load: DatabaseLoad, tables: Collection[str]) -> None:
    if tables:
        raise ProofFailedError(
            f"the AUTO_INCREMENT of {load.target}.{min(tables)} is lower than in the backup",
            hint="What was restored is not kept: it would give numbers out a second time.",
        )


async def read_fingerprints(session: Session, tables: Sequence[TableRef]) -> dict[str, str]:
    """Read how tables and sequences of one database are defined; see `fingerprints_of`."""
    return fingerprints_of(await read_printed(session, tables))


async def read_printed(session: Session, tables: Sequence[TableRef]) -> dict[TableRef, str]:
    """Read how the server prints tables and sequences."""
    return {
        ref: await show_definition(session, ref, sequence=ref.engine == "SEQUENCE")
        for ref in tables
    }


def fingerprints_of(
    printed: Mapping[TableRef, str], renamed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """
    Digest what was printed of tables and sequences of one database.

    Args:
        printed: By table.
        renamed: Names that schemas with tables about to move get in their place.

    Returns:
        Fingerprints by name, which do not tell in which database they are.
    """
    found: dict[str, str] = {}
    places = renamed or {}
    for ref, text in printed.items():
        for old, new in places.items():
            text = text.replace(f"{quote(old)}.", f"{quote(new)}.")  # noqa: PLW2901 - one step a name
        found[ref.name] = ddl.fingerprint(text, places.get(ref.database, ref.database))
    return found


async def prove_inventory(
    session: Session,
    backup: BackupSource,
    load: DatabaseLoad,
    *,
    live: bool = True,
) -> list[str]:
    """
    Compare views, triggers, routines, events and the database's defaults with what should be.

    Args:
        session: Any.
        backup: Open.
        load: Which database, and under which name.
        live: Whether they are read in the target; where it was loaded, events are disabled.

    Returns:
        Warnings: differences that are not errors.

    Raises:
        ProofFailedError: Something is missing, or is not what was backed up.
    """
    database = load.target if live else load.place
    (schema,) = await read_schemas(session, [database])
    there = await _objects(session, load, database)
    there["database", load.target] = schema.collation
    wanted = {
        (str(entry.kind), entry.name): entry.definition_sha256
        for entry in load.entry.objects
        if entry.valid and (live or entry.kind is not ObjectKind.EVENT)
    }
    if load.whole:
        wanted["database", load.target] = load.entry.collation
        if (
            live
            and session.flavor.has_schema_comments
            and "database comments" in backup.manifest.covers
        ):
            wanted["comment of database", load.target] = load.entry.comment
            there["comment of database", load.target] = schema.comment
    return await _compare(session, backup, load, wanted, there)


async def _compare(
    session: Session,
    backup: BackupSource,
    load: DatabaseLoad,
    wanted: _Inventory,
    there: _Inventory,
) -> list[str]:
    missing = sorted(set(wanted) - set(there))
    different = sorted(key for key in set(wanted) & set(there) if wanted[key] != there[key])
    server = await read_server(session)
    is_same = _is_of_one_series(server, backup.manifest.server)
    if missing:
        kind, name = missing[0]
        why = "" if is_same else "; this server has another version, and may not know its words"
        raise ProofFailedError(f"{kind} {load.target}.{name} is missing after the restore{why}")
    problems = [
        f"{kind} {load.target}.{name} is not defined as in the backup" for kind, name in different
    ]
    if problems and is_same:
        detail = await _tell(session, backup, load, different[0])
        raise ProofFailedError(f"{problems[0]}{detail and ': '}{detail}")
    return [f"{problem}; this server has another version" for problem in problems]


async def _tell(
    session: Session, backup: BackupSource, load: DatabaseLoad, key: tuple[str, str]
) -> str:
    """
    Say what of an object is not as it was, as far as its definitions say it.

    Returns:
        Names and keywords, no text or number, which may be anybody's; empty where it is not known.
    """
    kind, name = key
    there = {schema.name for schema in await read_schemas(session, [load.place, load.target])}
    database = load.place if load.place in there else load.target
    if kind == "table":
        ref = TableRef(database, name, engine="")
        wanted = [(load.entry.name, name)]
        async for _, _, sql in iter_definitions(backup, backup.manifest, wanted):
            found = await show_definition(session, ref, sequence=False)
            pair = [
                _plain(text, place) for text, place in ((sql, load.entry.name), (found, database))
            ]
            return _differing_part(*pair)
    if kind in set(ObjectKind):
        schema = Schema(database, load.entry.charset, load.entry.collation)
        origins = await read_origins(backup, backup.manifest, load)
        for definition in (await read_objects(session, schema)).definitions:
            key = definition.entry.kind, definition.entry.name
            if key == (ObjectKind(kind), name) and (origin := origins.get(key)):
                return _differing_object(origin, definition, database)
    return ""


def _plain(sql: str, database: str) -> str:
    return ddl.without_counter(ddl.unqualify(ddl.without_remarks(sql), database))


def _differing_part(wanted: str, found: str) -> str:
    """Say which part of a CREATE TABLE differs first, and how, without a text or a number of it."""
    (_, own, tail), (_, others, rest) = ddl.split_items(wanted), ddl.split_items(found)
    mine = {_label(item): item for item in own}
    theirs = {_label(item): item for item in others}
    for label in [*mine, *theirs]:
        if mine.get(label) != theirs.get(label):
            return _differing_item(label, mine.get(label, ""), theirs.get(label, ""))
    if list(mine) != list(theirs):
        return "the order of columns, indexes and constraints"
    first, second = _options(tail), _options(rest)
    for option in [*first, *second]:
        if first.get(option) != second.get(option):
            return f"option {option}"
    partitions = "PARTITION BY" in "".join(ddl.unquoted_parts(tail + rest))
    return "" if tail == rest else ("its partitions" if partitions else "its options")


def _differing_item(label: str, wanted: str, found: str) -> str:
    if not found:
        return f"{label} is missing"
    return f"{label} {_differing_words(wanted, found) if wanted else 'is not in the backup'}"


def _label(item: str) -> str:
    """Name an item of a CREATE TABLE."""
    names = [part for part in ddl.tokens(item) if part.startswith("`")]
    if item.startswith(("`", "CONSTRAINT ")):
        return f"{'column' if item[0] == '`' else 'constraint'} {names[0]}"
    words = item.partition("(")[0]
    return f"index {names[0]}" if "KEY `" in words else words.strip()


def _options(tail: str) -> dict[str, str]:
    """Return what a table is made with, before its partitions."""
    words = _words(tail)
    end = next((at for at, word in enumerate(words) if word in {"PARTITION", "/"}), len(words))
    return {
        words[at - 1]: words[at + 1]
        for at in range(1, min(end, len(words) - 1))
        if words[at] == "="
    }


def _differing_words(wanted: str, found: str) -> str:
    """Say where two texts of SQL part; what is no name and no keyword may be a secret, and is not shown."""
    mine, theirs = [*_words(wanted), ""], [*_words(found), ""]
    pairs = zip(mine, theirs, strict=False)
    at = next((at for at, (first, second) in enumerate(pairs) if first != second), len(mine) - 1)
    if all(not word or _SHOWN.fullmatch(word) for word in (mine[at], theirs[at])):
        return (
            f"has {mine[at] or 'nothing more'} in the backup, {theirs[at] or 'nothing more'} here"
        )
    before = next((word for word in reversed(mine[:at]) if _SHOWN.fullmatch(word)), "its begin")
    return f"differs after {before}"


def _words(sql: str) -> list[str]:
    return [
        word
        for part in ddl.tokens(sql)
        for word in ([part] if ddl.is_quoted(part) else _WORD.findall(part))
    ]


def _differing_object(origin: Origin, found: Definition, database: str) -> str:
    """Say which part of a view, trigger, routine or event differs first."""
    kind = found.entry.kind
    sessions = {
        "sql_mode": (origin.sql_mode, found.sql_mode),
        "character_set_client": (origin.charset, found.charset),
        "collation_connection": (origin.collation, found.collation),
    }
    for name, (before, now) in sessions.items():
        if before != now and (kind, name) != (ObjectKind.VIEW, "sql_mode"):
            return f"its {name} is {now!r} in place of {before!r}"
    wanted = origin.header.sql.replace("CREATE OR REPLACE ", "CREATE ", 1)
    there = ddl.unqualify(found.sql, database)
    if kind is ObjectKind.EVENT:
        wanted, there = enabled_event(wanted), enabled_event(there)
    (head, body), (other_head, other_body) = split_head(kind, wanted), split_head(kind, there)
    if kind is ObjectKind.VIEW and wanted != there:
        return f"its text {_differing_words(wanted, there)}"
    if head != other_head:
        # Of a trigger it is its author's, and may hold comments.
        words = _differing_words("".join(head), "".join(other_head))
        return "its head" + f" {words}" * (kind is not ObjectKind.TRIGGER)
    if body != other_body:  # which may hold comments
        return "its body"
    return "its place among others, or the collation or time zone that it was made in"


def _wanted_positions(manifest: Manifest, load: DatabaseLoad) -> _Inventory:
    sequences = {table.name for table in load.entry.tables if table.sequence}
    return {
        ("position of sequence", member.table): statement.sha256
        for member in manifest.members
        if member.kind is MemberKind.SCHEMA and member.database == load.entry.name
        for statement in member.statements[-1:]
        if member.table in sequences
    }


async def _objects(session: Session, load: DatabaseLoad, database: str) -> _Inventory:
    if not load.entry.objects:
        return {}
    schema = Schema(database, load.entry.charset, load.entry.collation)
    only_triggers = all(entry.kind is ObjectKind.TRIGGER for entry in load.entry.objects)
    found = await read_objects(session, schema, only_triggers=only_triggers)
    wanted = {(entry.kind, entry.name): entry.definition_sha256 for entry in load.entry.objects}
    there: _Inventory = {}
    for definition in found.definitions:
        key = definition.entry.kind, definition.entry.name
        is_same = is_defined_as(definition, wanted.get(key), database, load.entry.name)
        own = digest(definition, database, load.entry.name)
        there[str(key[0]), key[1]] = wanted[key] if is_same else own
    return there


def _is_of_one_series(here: ServerEntry, there: ServerEntry) -> bool:
    return (here.vendor, series_of(here.version)) == (there.vendor, series_of(there.version))
