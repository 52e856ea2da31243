"""
What the views and tables of a backup need, and a target will not have.

That is databases and tables outside of the backup, and accounts that own other views and functions.

A view can only be made where all that it reads and calls is there. One that needs what neither the backup
nor the target has is left out, as are views on it; the rest of the database is restored. A table whose
default asks such a sequence cannot be left out, so it is refused, as is one of MERGE without a table below
it; also where the backup has the sequence or table, and it was not chosen.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from app.domain.backups.manifest import Manifest, MemberKind, ObjectKind, StatementKind
from app.domain.ports import MemberSource
from app.domain.restores.load import DatabaseLoad
from app.engine.load.archived import iter_definitions, read_view_texts
from app.engine.schema.databases import list_tables, read_schemas
from app.engine.schema.definers import list_absent
from app.engine.server.clock import ZONES_HINT, knows_zone
from app.engine.server.connection import Session
from app.engine.sql.quoting import same_name
from app.engine.sql.references import (
    foreign_keys,
    merged_tables,
    parent_of,
    used_by_view,
    used_sequences,
)
from app.engine.storage_engines import MERGE
from app.errors import InvalidRequestError


# Database and name.
_Name = tuple[str, str]
_ZONE: Final = re.compile(r"SESSION time_zone = '([^']*)'")


async def without_unmakeable(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> tuple[list[DatabaseLoad], list[str]]:
    """
    Find the views that cannot be made on a target.

    Args:
        session: On the target.
        source: Members of the backup.
        manifest: Of the backup.
        loads: What is to be restored, all of it together.

    Returns:
        The loads with those views as unusable ones, which are tried and may fail; and a warning for each.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    needs = await _read_needs(source, manifest, loads)
    if not any(needs.values()):
        return list(loads), []
    coming = _coming(loads)
    present = await _present(session, needs, coming, loads)
    ownerless = await _of_absent_owners(session, needs, loads)
    lacking = _lacking(needs, (coming | present) - ownerless.keys())
    warnings = [
        f"view {database}.{name} cannot be made here: it needs {used[0]}.{used[1]}"
        f"{_why(used, lacking, ownerless)}"
        for (database, name), used in sorted(lacking.items())
    ]
    return [_marked(load, lacking) for load in loads], warnings


@dataclass(frozen=True, slots=True)
class Lacking:
    """
    What cannot be made because something else will not be there.

    Attributes:
        nowhere: Findings, in words, where that is neither there nor in the backup.
        unchosen: Refusals, where it is in the backup: they say nothing against it.
    """

    nowhere: tuple[str, ...] = ()
    unchosen: tuple[InvalidRequestError, ...] = ()


async def find_lacking(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> Lacking:
    """
    Find what cannot be left out and cannot be made: sequences, tables of MERGE, foreign keys, events.

    Returns:
        All of it.

    Raises:
        ChecksumMismatchError: The archive is damaged.
    """
    found = await _lacking_sequences(session, source, manifest, loads)
    merged = await _lacking_members(session, source, manifest, loads)
    parents = await _lacking_parents(session, source, manifest, loads)
    zones = await _unknown_zones(session, source, manifest, loads)
    roles = await _absent_roles(session, loads)
    return Lacking(
        nowhere=(*found.nowhere, *merged.nowhere, *parents, *zones, *roles),
        unchosen=(*found.unchosen, *merged.unchosen),
    )


async def _lacking_sequences(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> Lacking:
    """Find the tables that cannot be made because a default asks a sequence that will not be there."""
    if not session.flavor.sequences:
        return Lacking()
    needs: dict[_Name, set[_Name]] = {}
    async for place, name, sql in iter_definitions(source, manifest, _defined(loads)):
        needs[place, name] = {(database or place, used) for database, used in used_sequences(sql)}
    coming = _coming(loads)
    lacking = _lacking(needs, coming | await _present(session, needs, coming, loads))
    saved = {
        (database.name, entry.name.lower())
        for database in manifest.databases
        for entry in database.tables
        if entry.sequence
    }
    nowhere: list[str] = []
    unchosen: list[InvalidRequestError] = []
    for (database, name), used in sorted(lacking.items()):
        need = f"table {database}.{name} needs sequence {used[0]}.{used[1]}"
        if (used[0], used[1].lower()) in saved:
            hint = f"Choose it as well, with --table {used[0]}.{used[1]}."
            unchosen.append(InvalidRequestError(f"{need}, which was not chosen", hint=hint))
        else:
            nowhere.append(f"{need}, which is neither in the backup nor on this server")
    return Lacking(tuple(nowhere), tuple(unchosen))


async def _lacking_members(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> Lacking:
    """
    Find tables of MERGE that the server could not open where they wait for the swap.

    Returns:
        Those below one that are of its own database and do not come with it, and others that are not there.
    """
    merging = {
        (load.entry.name, entry.name)
        for load in loads
        for entry in load.entry.tables
        if entry.engine.upper() == MERGE
    }
    saved = {
        (database.name, entry.name) for database in manifest.databases for entry in database.tables
    }
    coming = _coming(loads)
    nowhere: list[str] = []
    unchosen: list[InvalidRequestError] = []
    async for place, name, sql in iter_definitions(source, manifest, merging):
        for database, used in sorted(merged_tables(sql)):
            elsewhere = await list_tables(session, database) if database else []
            member = (database or place, used)
            if used in {table.name for table in elsewhere} or (not database and member in coming):
                continue
            need = f"table {place}.{name} needs table {'.'.join(member)} of its UNION"
            if member in saved:
                hint = (
                    f"Restore database {database} before it, by itself."
                    if database
                    else f"Choose it as well, with --table {'.'.join(member)}."
                )
                unchosen.append(
                    InvalidRequestError(f"{need}, which does not come with it", hint=hint)
                )
            else:
                nowhere.append(f"{need}, which is neither in the backup nor on this server")
    return Lacking(tuple(nowhere), tuple(unchosen))


async def _lacking_parents(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[str]:
    """Find foreign keys on databases that will not be there; a drill leaves them out."""
    restored = [load for load in loads if load.target != load.staging]
    if not session.flavor.needs_parents_database or not restored:
        return []
    there = {schema.name for schema in await read_schemas(session, (), scratch=True)}
    there |= {load.target for load in restored}
    return [
        f"foreign key {key} of {database}.{name} refers to database {parent!r}, which is not on this server"
        " (an empty one is enough)"
        async for database, name, sql in iter_definitions(source, manifest, _defined(restored))
        for key, clause in foreign_keys(sql)
        if (parent := parent_of(clause)[0]) and parent not in there | {database}
    ]


async def _unknown_zones(
    session: Session, source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> list[str]:
    """Find events in whose time zone no session can be; one finding for each zone."""
    chosen = {
        (load.entry.name, entry.name)
        for load in loads
        for entry in load.entry.objects
        if entry.kind is ObjectKind.EVENT
    }
    databases = {database for database, _ in chosen}
    zones: dict[str, str] = {}
    for member in manifest.members:
        if member.kind is not MemberKind.OBJECTS or member.database not in databases:
            continue
        zone = ""
        for listed, text in zip(member.statements, await source.read(member), strict=True):
            if listed.kind is StatementKind.SESSION and (found := _ZONE.search(text.decode())):
                zone = found[1]
            elif listed.kind is StatementKind.EVENT and (member.database, listed.name) in chosen:
                zones.setdefault(zone, f"{member.database}.{listed.name}")
    return [
        f"this server does not know the time zone {zone!r} of event {label}; {ZONES_HINT}"
        for zone, label in zones.items()
        if zone and not await knows_zone(session, zone)
    ]


async def _absent_roles(session: Session, loads: Sequence[DatabaseLoad]) -> list[str]:
    """
    Find roles that own objects and are not there: the objects would belong to a user of that name.

    Returns:
        A finding for each object of theirs, in words.

    Source: https://mariadb.com/kb/en/create-procedure/#security
    """
    owned = [
        (entry.definer, f"{entry.kind} {load.entry.name}.{entry.name}")
        for load in loads
        for entry in load.entry.objects
        if entry.definer.startswith("`") and "`@`" not in entry.definer
    ]
    if not owned:
        return []
    absent = await list_absent(session, loads[0].staging, {role for role, _ in owned})
    return [
        f"{label} belongs to role {role}, which is not on this server (CREATE ROLE is enough)"
        for role, label in owned
        if role in absent
    ]


def _defined(loads: Sequence[DatabaseLoad]) -> set[_Name]:
    """Return the tables that are made by the backup's own definitions."""
    return {
        (load.entry.name, entry.name)
        for load in loads
        for entry in load.entry.tables
        if not entry.sequence and entry.name not in load.definitions
    }


def _coming(loads: Sequence[DatabaseLoad]) -> set[_Name]:
    return {
        (load.entry.name, name)
        for load in loads
        for name in (
            *(table.name for table in load.entry.tables),
            *(entry.name for entry in load.entry.objects),
        )
    }


async def _read_needs(
    source: MemberSource, manifest: Manifest, loads: Sequence[DatabaseLoad]
) -> dict[_Name, set[_Name]]:
    """Read what each view reads and calls."""
    return {
        (load.entry.name, name): {
            (database or load.entry.name, used) for database, used in used_by_view(sql)
        }
        for load in loads
        if _has_views(load)
        for name, sql in (await read_view_texts(source, manifest, load)).items()
    }


def _has_views(load: DatabaseLoad) -> bool:
    return any(entry.kind is ObjectKind.VIEW for entry in load.entry.objects)


async def _present(
    session: Session,
    needs: Mapping[_Name, set[_Name]],
    coming: set[_Name],
    loads: Sequence[DatabaseLoad],
) -> set[_Name]:
    """Look for what is needed and does not come, in databases that are not replaced as a whole."""
    replaced = {load.entry.name for load in loads if load.whole}
    wanted = {name for names in needs.values() for name in names} - coming
    present: set[_Name] = set()
    places = {load.entry.name: load.target for load in loads}
    for database in {database for database, _ in wanted} - replaced:
        place = places.get(database, database)
        rows = await session.texts(
            f"SELECT TABLE_NAME FROM information_schema.TABLES WHERE {same_name('TABLE_SCHEMA', place)}"
            " UNION ALL SELECT ROUTINE_NAME FROM information_schema.ROUTINES"
            f" WHERE {same_name('ROUTINE_SCHEMA', place)}"
        )
        # Routines are found in any case; what only looks like one of these is tried all the same.
        there = {name.lower() for (name,) in rows}
        present |= {key for key in wanted if key[0] == database and key[1].lower() in there}
    return present


async def _of_absent_owners(
    session: Session, needs: Mapping[_Name, set[_Name]], loads: Sequence[DatabaseLoad]
) -> dict[_Name, str]:
    """Find what views need of owners that are not there; it can be made, and no view on it."""
    used = {name for names in needs.values() for name in names}
    owners = {
        (load.entry.name, entry.name): entry.definer
        for load in loads
        for entry in load.entry.objects
        if entry.kind in {ObjectKind.VIEW, ObjectKind.FUNCTION} and entry.definer
    }
    owners = {name: owner for name, owner in owners.items() if name in used}
    absent = await list_absent(session, loads[0].staging, set(owners.values()))
    return {name: owner for name, owner in owners.items() if owner in absent}


def _lacking(needs: Mapping[_Name, set[_Name]], there: set[_Name]) -> dict[_Name, _Name]:
    """Find the views that lack something, and those on them; with the first thing that each lacks."""
    folded = {(database, name.lower()) for database, name in there}
    lacking: dict[_Name, _Name] = {}
    while True:
        more = {
            view: missing[0]
            for view, used in needs.items()
            if view not in lacking
            and (
                missing := sorted(
                    name
                    for name in used
                    if name in lacking or (name[0], name[1].lower()) not in folded
                )
            )
        }
        if not more:
            return lacking
        lacking |= more


def _why(used: _Name, lacking: Mapping[_Name, _Name], ownerless: Mapping[_Name, str]) -> str:
    """Say what is wrong with what a view lacks; of another view that is said by itself."""
    if used in ownerless:
        return f" of {ownerless[used]}, an account that this server has not"
    return "" if used in lacking else ", which is neither in the backup nor on this server"


def _marked(load: DatabaseLoad, lacking: Mapping[_Name, _Name]) -> DatabaseLoad:
    objects = tuple(
        replace(entry, valid=False)
        if entry.kind is ObjectKind.VIEW and (load.entry.name, entry.name) in lacking
        else entry
        for entry in load.entry.objects
    )
    return replace(load, entry=replace(load.entry, objects=objects))
