"""
What a swap will change, read from the live databases just before it.

Everything that the swap takes away is written into the plan first, with what makes it again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from app.domain.backups.manifest import ObjectEntry, ObjectKind
from app.domain.restores.journal import (
    ForeignKey,
    Journal,
    ObjectSet,
    RestoreId,
    RestorePhase,
    SchemaSwap,
    TableMark,
)
from app.engine.load.archived import object_key
from app.engine.load.inventory import read_fingerprints
from app.engine.load.objects import drop_object, grants_on, read_live_objects
from app.engine.schema import foreign_keys
from app.engine.schema.databases import create_database, exists, kept_name, list_tables
from app.engine.schema.definers import definers_of, prove_definers
from app.engine.schema.listing import list_in_directories
from app.engine.schema.marks import read_marks
from app.engine.schema.objects import list_views, read_trigger_tables
from app.engine.schema.tables import TableRef
from app.engine.server.connection import Session
from app.engine.swap.broken_tables import find_broken
from app.engine.swap.rename import all_moves, list_triggers, lock_waits_translated, require_packet
from app.errors import ConflictError, UndoExpiredError


@dataclass(frozen=True, slots=True)
class SwapDraft:
    """
    What a swap is to do in one database.

    Attributes:
        target: The database.
        source: Schema where the new tables wait.
        kept: Schema where the old ones go.
        wanted: Objects afterwards.
        whole: Whether everything else of the target goes too.
        leaving: Tables that go even if nothing takes their place.
        foreign_keys: That must exist afterwards and cannot move with their tables.
        unwanted: Objects that go; None = of what goes, those that do not come.
        removed: Whether the target does not exist afterwards.
    """

    target: str
    source: str
    kept: str
    wanted: ObjectSet
    whole: bool
    leaving: frozenset[str] = frozenset()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unwanted: tuple[ObjectEntry, ...] | None = None
    removed: bool = False


async def plan_swaps(session: Session, drafts: Sequence[SwapDraft]) -> tuple[SchemaSwap, ...]:
    """
    Read what the swaps will change.

    Returns:
        Complete plans; nothing was changed.

    Raises:
        ConflictError: A name is taken by something that stays.
        PermissionDeniedError: A definition is hidden from this user.
        IncompatibleServerError: The RENAME would be too long for the server.
    """
    swaps = [await _plan(session, draft) for draft in drafts]
    swaps = await _with_foreign_keys(session, swaps)
    await require_packet(session, all_moves(swaps))
    return tuple(swaps)


async def plan_reversal(
    session: Session, journal: Journal, restore_id: RestoreId
) -> tuple[SchemaSwap, ...]:
    """
    Read what swaps will change that bring back what others took away.

    Args:
        session: Any.
        journal: Of the swap that is done.
        restore_id: Of the one that brings back.

    Returns:
        Complete plans; nothing was changed.

    Raises:
        UndoExpiredError: Old tables are gone.
    """
    for swap in journal.swaps:
        there = {table.name for table in await list_tables(session, swap.kept)}
        if gone := sorted(set(swap.outgoing) - there):
            message = f"table {swap.target}.{gone[0]} is not kept any more"
            raise UndoExpiredError(message, hint=journal.way_back)
    drafts = [
        reversed_draft(swap, kept_name(swap.target, restore_id, journal.targets))
        for swap in journal.swaps
    ]
    swaps = await plan_swaps(session, drafts)
    if journal.phase is RestorePhase.DONE:
        return swaps
    return await _with_lost_keys(session, journal, swaps)


async def _with_lost_keys(
    session: Session, journal: Journal, swaps: Sequence[SchemaSwap]
) -> tuple[SchemaSwap, ...]:
    """Add the foreign keys of tables that stay which a swap may have dropped, and could not make again."""
    moved = {(swap.target, name) for swap in journal.swaps for name in swap.incoming}
    keys = [
        [key for key in swap.foreign_keys if (key.database, key.table) not in moved]
        for swap in journal.swaps
    ]
    there = {
        (table.database, table.name)
        for database in {key.database for key in chain.from_iterable(keys)}
        for table in await list_tables(session, database)
    }
    return tuple(
        replace(
            swap,
            foreign_keys=(
                *swap.foreign_keys,
                *(key for key in lost if (key.database, key.table) in there),
            ),
        )
        for swap, lost in zip(swaps, keys, strict=True)
    )


def reversed_draft(swap: SchemaSwap, kept: str) -> SwapDraft:
    """Draft the swap that brings back what another one took away."""
    present = swap.present
    if not (swap.whole or swap.removed):  # such a swap did not change the database's default
        present = replace(present, charset="", collation="", comment=None)
    return SwapDraft(
        target=swap.target,
        source=swap.kept,
        kept=kept,
        wanted=present,
        whole=False,
        leaving=frozenset(swap.incoming) | frozenset(swap.outgoing),
        foreign_keys=swap.kept_foreign_keys,
        unwanted=unwanted_objects(swap.wanted.entries, present.entries),
        removed=swap.created,
    )


async def _plan(session: Session, draft: SwapDraft) -> SchemaSwap:
    incoming = tuple(table.name for table in await list_tables(session, draft.source))
    there = await exists(session, draft.target)
    live = [table.name for table in await list_tables(session, draft.target)]
    leaving = draft.leaving | set(incoming)
    outgoing = tuple(name for name in live if draft.whole or name in leaving)
    whole = draft.whole or bool(draft.wanted.collation)  # it may change the default as well
    present, wanted = ObjectSet(draft.target), draft.wanted
    if there:
        scope = None if whole else outgoing
        present = await read_live_objects(session, draft.target, scope, _besides_triggers(draft))
    if not wanted.collation:  # what stays as it is must be known where it changes for a moment
        wanted = replace(wanted, charset=present.charset, collation=present.collation)
    kept = grants_on(wanted.entries, present.grants)
    wanted = replace(wanted, grants=tuple(dict.fromkeys((*wanted.grants, *kept))))
    unwanted = draft.unwanted
    if unwanted is None:
        unwanted = unwanted_objects(present.entries, wanted.entries)
    if there and not whole:
        triggers = [entry.name for entry in wanted.entries if entry.kind is ObjectKind.TRIGGER]
        constraints = {
            *await foreign_keys.read_constraint_tables(session, draft.source),
            *(("FOREIGN KEY", key.name.lower()) for key in draft.foreign_keys),
        }
        await refuse_clashes(
            session,
            draft.target,
            incoming=incoming,
            triggers=triggers,
            constraints=constraints,
            outgoing=outgoing,
        )
    return SchemaSwap(
        target=draft.target,
        source=draft.source,
        kept=draft.kept,
        incoming=incoming,
        outgoing=outgoing,
        wanted=replace(wanted, unwanted=unwanted),
        present=present,
        foreign_keys=draft.foreign_keys,
        whole=whole,
        created=not there,
        removed=draft.removed,
    )


def _besides_triggers(draft: SwapDraft) -> set[tuple[ObjectKind, str]]:
    """Return kinds and names of the views, routines and events that a swap may change."""
    entries = (*draft.wanted.entries, *(draft.unwanted or ()))
    return {object_key(entry) for entry in entries if entry.kind is not ObjectKind.TRIGGER}


def unwanted_objects(
    present: Sequence[ObjectEntry], wanted: Sequence[ObjectEntry]
) -> tuple[ObjectEntry, ...]:
    """Return what is present and not wanted."""
    keys = {object_key(entry) for entry in wanted}
    return tuple(entry for entry in present if object_key(entry) not in keys)


async def refuse_clashes(
    session: Session,
    target: str,
    *,
    incoming: Collection[str],
    triggers: Collection[str],
    constraints: Collection[tuple[str, str]],
    outgoing: Collection[str],
) -> None:
    """
    Refuse a restore of some tables whose names, or those of their triggers or constraints, are taken by others.

    Args:
        session: Any.
        target: An existing database.
        incoming: Tables that come.
        triggers: Triggers that come with them.
        constraints: Kind and name, in small letters, of constraints that come with them.
        outgoing: Tables that go, with their triggers and constraints.

    Raises:
        ConflictError: A name is taken by something that stays.
    """
    views = set(await list_views(session, target)) & set(incoming)
    if views:
        raise ConflictError(
            f"{target}.{min(views)} is a view now, and a table in the backup",
            hint="Drop or rename the view, or restore under another name with --into.",
        )
    for name, table in (await read_trigger_tables(session, target)).items():
        if name in triggers and table not in outgoing:
            raise ConflictError(
                f"trigger {target}.{name} belongs to table {table!r}, which stays",
                hint="Restore that table too, or drop or rename its trigger.",
            )
    taken = await foreign_keys.read_constraint_tables(session, target)
    for kind, name in sorted(taken.keys() & set(constraints)):
        if (table := taken[kind, name]) not in outgoing:
            raise ConflictError(
                f"{kind} {target}.{name} belongs to table {table!r}, which stays",
                hint="Restore that table too, or drop its constraint, or restore under another name with --into.",
            )


async def _with_foreign_keys(session: Session, swaps: Sequence[SchemaSwap]) -> list[SchemaSwap]:
    """Add the foreign keys that cross the border of what moves."""
    moving = [TableRef(swap.target, name, engine="") for swap in swaps for name in swap.outgoing]
    if not moving:
        return list(swaps)
    bindings = await foreign_keys.read_bindings(session, {swap.target for swap in swaps})
    staying, leaving = foreign_keys.crossing(bindings, moving)
    remade = await foreign_keys.read_foreign_keys(session, staying)
    cut = await foreign_keys.read_foreign_keys(session, leaving)
    return [
        replace(
            swap,
            foreign_keys=(
                *swap.foreign_keys,
                *(key for key in remade if key.parent_database == swap.target),
            ),
            kept_foreign_keys=tuple(key for key in cut if key.database == swap.target),
        )
        for swap in swaps
    ]


async def prove_owners(session: Session, swaps: Sequence[SchemaSwap]) -> None:
    """
    Prove that all objects that a swap drops and makes can be made, before it drops any.

    Raises:
        PermissionDeniedError: Objects of an account cannot be made; nothing was changed.
    """
    for swap in swaps:
        if await exists(session, swap.source):
            objects = (*swap.wanted.entries, *swap.present.entries)
            await prove_definers(session, swap.source, definers_of(objects))


async def create_databases(session: Session, swaps: Sequence[SchemaSwap]) -> None:
    """Create the databases that swaps need and that are not there."""
    for swap in swaps:
        if swap.created:
            await create_database(session, swap.target, swap.wanted.charset, swap.wanted.collation)
        if swap.outgoing and not await exists(session, swap.kept):
            await create_database(session, swap.kept, "utf8mb4", "utf8mb4_bin")


async def with_kept_marks(session: Session, swap: SchemaSwap) -> SchemaSwap:
    """Note what the kept tables of a swap are known by, in the place of what told where they are."""
    marks: dict[str, TableMark] = {}
    if swap.outgoing:
        marks = await read_marks(session, swap.kept)
        broken = await find_broken(session, swap.kept)  # they have nothing to be known by
        known = [
            table for table in await list_tables(session, swap.kept) if table.name not in broken
        ]
        # An undo that is interrupted renames them there and back, which changes MariaDB's dates.
        printed = await read_fingerprints(session, known)
        marks = {
            name: replace(mark, created="", definition=printed.get(name, ""))
            for name, mark in marks.items()
        }
    return replace(swap, incoming_ids={}, outgoing_ids={}, kept_marks=marks)


async def cannot_keep(session: Session, swaps: Sequence[SchemaSwap]) -> bool:
    """Tell whether the server would lose kept tables at its next start, and leave their files behind."""
    for swap in swaps:
        if swap.outgoing and await list_in_directories(session, swap.kept):
            return True
    return False


async def drop_obstacles(session: Session, swap: SchemaSwap) -> None:
    """
    Drop what a RENAME would refuse: triggers of old tables, views with the names of new ones.

    Raises:
        ConflictError: One of them is not in the plan.
        TablesInUseError: Others hold a lock.
    """
    triggers = await list_triggers(session, swap)
    views = set(await list_views(session, swap.target)) & set(swap.incoming)
    known = {
        entry.name: entry for entry in swap.present.entries if entry.kind is ObjectKind.TRIGGER
    }
    known_views = {
        entry.name: entry for entry in swap.present.entries if entry.kind is ObjectKind.VIEW
    }
    if new := sorted((triggers - known.keys()) | (views - known_views.keys())):
        raise ConflictError(
            f"{swap.target}.{new[0]} was created while the restore went on",
            hint="The live data is as it was. Restore again when nobody changes definitions.",
        )
    for entry in [*(known[name] for name in triggers), *(known_views[name] for name in views)]:
        with lock_waits_translated():
            await drop_object(session, swap.target, entry)
