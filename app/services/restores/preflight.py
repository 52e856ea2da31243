"""What would make a restore fail, found out before anything is changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.archive.file.reader import ArchiveReader
from app.domain.restores.dry_run import Compatibility, Space
from app.domain.restores.load import DatabaseLoad
from app.domain.restores.restore import RestorePlan
from app.engine.flavor import LOAD_SESSION
from app.engine.load.archived import as_of_today
from app.engine.load.innodb_limits import find_unfit_tables
from app.engine.load.needs import find_lacking, without_unmakeable
from app.engine.load.other_vendor import find_differences
from app.engine.load.space import estimate_space, too_large
from app.engine.load.target import (
    OwnDatabase,
    check_trust,
    compatibility,
    find_limit,
    missing_to_encrypt,
    unrepeatable,
)
from app.engine.schema.databases import (
    content,
    folds_names,
    scratch_pattern,
)
from app.engine.schema.definers import definers_of, list_guarded, read_definers
from app.engine.schema.objects import ROUTINE_KINDS
from app.engine.server.connection import Session
from app.engine.server.grants import (
    Grants,
    Missing,
    missing_for_backup,
    missing_for_bodies,
    missing_for_definers,
    missing_for_guarded,
    missing_for_restore,
    missing_in_scratch,
    missing_to_skip_log,
    read_grants,
    require,
)
from app.engine.server.server import Server
from app.engine.storage_engines import MERGE
from app.engine.swap.obstacles import list_obstacles, list_taken
from app.engine.swap.read_only import find_read_only
from app.errors import (
    AppError,
    IncompatibleServerError,
    IntegrityError,
    InvalidRequestError,
    PermissionDeniedError,
)
from app.services.restores.live_databases import (
    hidden_grants,
    keep_definitions,
    list_changed,
    missing_for_children,
    not_kept,
    rows_at_stake,
    unloggable,
)
from app.services.restores.plan import not_proven


@dataclass(frozen=True, slots=True)
class PreflightReport:
    """
    What was found out about a target server.

    Attributes:
        loads: Complete with what only the server knows.
        problems: What a restore would be refused for.
        missing_rights: GRANT statements.
        warnings: What could not be found out.
    """

    loads: list[DatabaseLoad]
    problems: tuple[AppError, ...]
    compatibility: Compatibility
    missing_rights: tuple[str, ...]
    space: Space
    warnings: tuple[str, ...]


class Preflight:
    """Examines a target server; changes nothing."""

    def __init__(self, server: Server, own: OwnDatabase | None = None) -> None:
        self._server = server
        self._own = own

    async def require(self, reader: ArchiveReader, plan: RestorePlan) -> PreflightReport:
        """
        Refuse a restore that cannot end well.

        Returns:
            What was found out.

        Raises:
            AppError: The first problem; nothing was changed.
        """
        report = await self.examine(reader, plan)
        if report.problems:
            raise report.problems[0]
        return report

    async def examine(self, reader: ArchiveReader, plan: RestorePlan) -> PreflightReport:
        """
        Find everything that a restore would be refused for.

        Returns:
            All of it.

        Raises:
            DatabaseError: The server fails us.
        """
        loads = plan.loads
        async with self._server.session() as session:
            grants = await read_grants(session)
            complete, misfits, denied = await _complete(session, grants, plan)
            complete, unreadable, lacks = await _described(session, reader, complete)
            unfit, lost, barred = await _unfit(session, reader, complete)
            owners = await _missing_for_owners(session, grants, complete)
            children, warnings = await missing_for_children(session, grants, loads)
            warnings += lacks + await hidden_grants(session, loads, plan.request)
            warnings += await not_kept(session, loads)
            point = await _missing_for_point(session, grants, plan)
            rights = [*owners, *children, *point, *await missing_to_encrypt(session, grants)]
            missing = list(dict.fromkeys([*_missing_rights(grants, loads), *rights]))
            silence = missing_to_skip_log(grants) if plan.request.skip_binlog else []
            compatible = await compatibility(session, loads)
            space = await estimate_space(session, loads)
            problems = [
                *_raised(lambda: require(missing)),
                *await self._barred(session, plan),
                *await find_read_only(session, grants, await list_changed(session, loads)),
                *(denied or unreadable or barred),
                *await list_taken(session, loads, plan.request),
                *await list_obstacles(session, reader, reader.manifest, complete),
                *_incompatible([
                    *compatible.findings,
                    *unfit,
                    *misfits,
                    *await unrepeatable(session, loads, prove=plan.request.verify_after),
                ]),
                *await _distrust(session, reader, loads, grants),
                *too_large(space),
            ]
        return PreflightReport(
            loads=complete,
            problems=tuple(problems),
            compatibility=compatible,
            missing_rights=tuple(right.grant for right in (*missing, *silence)),
            space=space,
            warnings=(*warnings, *lost, *not_proven(plan.manifest, loads)),
        )

    async def _barred(self, session: Session, plan: RestorePlan) -> list[AppError]:
        """Find out whether our own history is in the way, the account limited, or a session barred from loading."""
        refusals = await self._own.refusals(session, plan.loads) if self._own else []
        refusals += await find_limit(session, plan.request.threads)
        try:
            async with self._server.session(LOAD_SESSION):
                return refusals
        except PermissionDeniedError as exc:
            return [*refusals, exc]

    async def log_rule(self, *, skip: bool) -> str:
        """
        Decide whether a restore is written to the binary log.

        It is, wherever there is one: a RENAME in it without the load before it would break replicas,
        and nobody can see whether the log serves to recover to a point in time. Only who says so
        keeps all of a restore out of it.

        Args:
            skip: Whether it is to be kept out.

        Returns:
            `off`, `written` or `skipped`.

        Raises:
            InvalidRequestError: It should be skipped, and replicas read it.
            PermissionDeniedError: It should be skipped, and this user may not do that.
        """
        async with self._server.session() as session:
            if await session.scalar("SELECT @@GLOBAL.log_bin") == "0":
                return "off"
            if not skip:
                return "written"
            require(missing_to_skip_log(await read_grants(session)))
            replicas = await session.scalar(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST"
                " WHERE COMMAND LIKE 'Binlog Dump%'"
            )
        if replicas != "0":
            raise InvalidRequestError(f"--skip-binlog, but {replicas} replicas read the binary log")
        return "skipped"


def _missing_rights(grants: Grants, loads: Sequence[DatabaseLoad]) -> list[Missing]:
    scratch = {load.staging: scratch_pattern(load.staging) for load in loads if load.staging}
    merging = {
        load.staging
        for load in loads
        if any(table.engine.upper() == MERGE for table in load.entry.tables)
    }
    objects = [entry for load in loads for entry in load.entry.objects]
    authors = {entry.definer for entry in objects if entry.kind in ROUTINE_KINDS}
    return [
        *missing_for_restore(grants, [load.target for load in loads if load.target not in scratch]),
        *missing_in_scratch(grants, scratch, merging),
        *missing_for_bodies(grants, authors),
    ]


async def _missing_for_point(session: Session, grants: Grants, plan: RestorePlan) -> list[Missing]:
    """Find what the backup of what is there now lacks."""
    if not plan.makes_recovery_point:
        return []
    live = [target for target in plan.targets if await content(session, target)]
    only_tables = all(load.only_tables for load in plan.loads)
    found = missing_for_backup(grants, live, only_tables=only_tables)
    return [right for right in found if right.required]


async def _complete(
    session: Session, grants: Grants, plan: RestorePlan
) -> tuple[list[DatabaseLoad], list[str], list[AppError]]:
    """Return the loads with what only the server knows, what does not fit, and what is hidden."""
    complete: list[DatabaseLoad] = []
    findings = await unloggable(session, grants, plan)
    hidden: list[AppError] = []
    for load in plan.loads:
        findings += await rows_at_stake(session, load, plan.request)
        kept = load
        if plan.keeps_definitions:
            try:
                kept, misfits = await keep_definitions(session, load)
                findings += misfits
            except PermissionDeniedError as exc:  # a right that is missing is named before
                hidden.append(exc)
        complete.append(kept)
    return complete, findings, hidden


async def _described(
    session: Session, reader: ArchiveReader, loads: Sequence[DatabaseLoad]
) -> tuple[list[DatabaseLoad], list[AppError], list[str]]:
    """Describe objects as this version does, and as far as they can be made; warn of the others."""
    described, unreadable = await _as_of_today(session, reader, loads)
    if unreadable:
        return described, unreadable, []
    makeable, lacks = await without_unmakeable(session, reader, reader.manifest, described)
    return makeable, [], lacks


async def _as_of_today(
    session: Session, reader: ArchiveReader, loads: Sequence[DatabaseLoad]
) -> tuple[list[DatabaseLoad], list[AppError]]:
    """Read all that makes objects, so that nothing that leads out of the target is found later."""
    readable: list[DatabaseLoad] = []
    problems: list[AppError] = []
    folds = await folds_names(session)
    for load in loads:
        try:
            readable.append(await as_of_today(reader, reader.manifest, load, folds=folds))
        except AppError as exc:
            readable.append(load)
            problems.append(exc)
    return readable, problems


async def _unfit(
    session: Session, reader: ArchiveReader, loads: Sequence[DatabaseLoad]
) -> tuple[list[str], list[str], list[AppError]]:
    """Say which definitions the server would refuse, what it would make of others, and what bars all."""
    manifest = reader.manifest
    defined = [load for load in loads if not load.definitions]
    try:
        other = await find_differences(session, reader, manifest, defined)
        unfit, warned = await find_unfit_tables(session, reader, manifest, loads)
        lacking = await find_lacking(session, reader, manifest, loads)
    except IntegrityError as exc:
        return [], [], [exc]
    findings = [*unfit, *lacking.nowhere, *other.findings()]
    return findings, [*other.warnings(), *warned], [*lacking.unchosen]


async def _missing_for_owners(
    session: Session, grants: Grants, loads: Sequence[DatabaseLoad]
) -> list[Missing]:
    """Find out whether the objects of the backup, and those that may have to be put back, can be made."""
    definers = definers_of(entry for load in loads for entry in load.entry.objects)
    for load in loads:
        tables = {table.name for table in load.entry.tables} if load.only_tables else None
        definers |= await read_definers(session, load.target, tables)
    missing = missing_for_definers(grants, definers)
    # Where no schema can be made nothing can be asked, and that is refused as well.
    guarded = await list_guarded(session, loads[0].staging, definers) if loads else {}
    return missing + missing_for_guarded(grants, guarded)


def _incompatible(findings: Sequence[str]) -> list[AppError]:
    if not findings:
        return []
    hint = "Nothing was changed; change what it names, or leave these tables out."
    return [IncompatibleServerError("; ".join(findings), hint=hint)]


async def _distrust(
    session: Session, reader: ArchiveReader, loads: Sequence[DatabaseLoad], grants: Grants
) -> list[AppError]:
    try:
        await check_trust(session, reader.manifest, reader, loads, is_super=grants.allows("SUPER"))
    except AppError as exc:
        return [exc]
    return []


def _raised(check: Callable[[], None]) -> list[AppError]:
    try:
        check()
    except AppError as exc:
        return [exc]
    return []
