"""Checks of restores that were interrupted, of their journals, and of schemas that nobody's journal knows."""

from collections.abc import Sequence
from typing import Final

from app.domain.monitoring import CheckState, DoctorCheck, failed
from app.domain.restores.journal import ID_DIGITS
from app.engine.schema.databases import list_scratch
from app.engine.server.connection import Session
from app.engine.swap.rename import is_locked
from app.errors import ConflictError, JournalDamagedError
from app.storage.journals import DamagedJournal, FoundJournals


_SHOWN_SCHEMAS: Final = 5


def journal_checks(damaged: Sequence[DamagedJournal]) -> list[DoctorCheck]:
    """Name each journal that cannot be read, and what to do about it; asks no server."""
    return [failed("journals", _with_remedy(journal)) for journal in damaged]


def _with_remedy(journal: DamagedJournal) -> JournalDamagedError:
    digits = journal.restore_id[-ID_DIGITS:]
    return JournalDamagedError(
        f"recoveries/{journal.error}",
        hint=f"Put a copy of the file back, then run 'backstay doctor --repair'. Without one: see what is in"
        f" schemas whose names end with __bk_new_{digits} or __bk_old_{digits}, drop them, and delete the"
        " file. Until then no old tables of other restores are dropped.",
    )


async def restore_checks(session: Session, where: str, found: FoundJournals) -> list[DoctorCheck]:
    """
    Check for restores that were interrupted, and for schemas that nobody's journal knows.

    Args:
        session: Any, of the server.
        where: The server's address, as journals have it.
        found: The journals of this installation.

    Returns:
        At least one check.

    Raises:
        DatabaseError: The server failed us.
    """
    checks = []
    journals = [journal for journal in found.whole if journal.server == where]
    for journal in journals:
        if journal.phase.is_over:
            continue
        what = f"{journal.kind} {journal.restore_id} of {', '.join(journal.targets)}"
        if any([await is_locked(session, target) for target in journal.targets]):
            checks.append(DoctorCheck("restores", CheckState.OK, f"{what} is at work"))
        else:
            error = ConflictError(
                f"{what} was interrupted",
                hint="Run 'backstay doctor --repair': it finishes or undoes it, and says which.",
            )
            checks.append(failed("restores", error))
    known = {
        name for journal in journals for swap in journal.swaps for name in (swap.source, swap.kept)
    }
    endings = tuple(f"_{journal.restore_id[-ID_DIGITS:]}" for journal in found.damaged)
    unknown = sorted(
        name
        for name in await list_scratch(session)
        if name not in known and not name.endswith(endings)
    )
    if unknown:
        checks.append(
            DoctorCheck(
                "old tables",
                CheckState.WARN,
                f"no journal here knows {', '.join(unknown[:_SHOWN_SCHEMAS])}",
                "If no other installation of this program uses this server, check what is in them, then"
                " drop them.",
            )
        )
    return checks or [DoctorCheck("restores", CheckState.OK, "none was interrupted")]
