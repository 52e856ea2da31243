"""What drills, restores and drills of recoveries have shown of a backup, kept beside it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import ValidationError

from app.domain.document import adapter_of
from app.domain.ids import BackupId
from app.domain.sealed import seal, unseal


@dataclass(frozen=True, slots=True)
class Proof:
    """
    One time that a backup was restored, or compared with what an older one and the log give; kept beside it.

    Attributes:
        at: Aware UTC instant of the end.
        by: `drill`, `restore`, `recovery-drill`, or `recovery` for what was restored for one into a scratch server.
        success: Whether everything was read back and equal.
        seconds: How long it took.
        server: Vendor and version.
        tables: How many tables.
        rows: How many rows.
        raw_size: Bytes of SQL; 0 of a drill of a recovery, as `whole` is false: nothing of the backup was loaded.
        whole: Whether all of the backup was restored.
        error: Code of what went wrong; empty when nothing.
    """

    at: datetime
    by: str
    success: bool
    seconds: float
    server: str
    tables: int
    rows: int
    raw_size: int
    whole: bool
    error: str = ""


MAX_PROOFS: Final = 50
RECOVERY_DRILL: Final = "recovery-drill"
RECOVERY: Final = "recovery"


@dataclass(frozen=True, slots=True)
class _File:
    proofs: tuple[Proof, ...]


def encode_proofs(proofs: tuple[Proof, ...]) -> bytes:
    """Encode proofs as JSON, newest first, sealed."""
    return seal(adapter_of(_File).dump_json(_File(proofs), indent=1))


def decode_proofs(data: bytes) -> tuple[Proof, ...]:
    """Decode proofs; a file that is damaged counts as none."""
    try:
        if data.startswith(b"["):
            # As older releases wrote them.
            return adapter_of(tuple[Proof, ...]).validate_json(data)
        body = unseal(data, _File.__dataclass_fields__)
        return () if body is None else adapter_of(_File).validate_json(body).proofs
    except ValidationError:
        return ()


def proven_at(proofs: tuple[Proof, ...]) -> datetime | None:
    """Return when all of a backup was last restored and equal."""
    return max((proof.at for proof in proofs if proof.success and proof.whole), default=None)


def recovery_proven_at(proofs: tuple[Proof, ...]) -> datetime | None:
    """Return when an older backup and the binary log last gave what this backup holds."""
    return max(
        (proof.at for proof in proofs if proof.success and proof.by == RECOVERY_DRILL), default=None
    )


@dataclass(frozen=True, slots=True)
class DrillResult:
    """
    What a drill has shown.

    Attributes:
        tables_count: Tables that were restored.
        rows_count: Rows that were restored, read back and compared.
        duration: Seconds.
        warnings: What was left out of the drill, and what is not as it was.
        bytes_read: Bytes that came from the store; None = the backup lies in the backup directory.
    """

    backup_id: BackupId
    databases: tuple[str, ...]
    tables_count: int
    rows_count: int
    duration: float
    warnings: tuple[str, ...]
    bytes_read: int | None = None
