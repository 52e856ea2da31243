"""
The audit: who changed or was refused what; a chain, each entry sealed over the one before it.

1. The digest of an entry is the SHA-256 of the digest before it and of the entry's own fields as
   canonical JSON. 2. Entries are numbered from 1 without gaps. 3. The newest number and digest are
   also kept outside of the database.

So no entry can be changed, removed, inserted or cut off the end without breaking the chain, unless
who does it can also rewrite all later entries and the file outside. Not guaranteed: anything against
somebody who holds the whole machine.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final


GENESIS: Final = "0" * 64


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """
    One thing that was asked, and how it ended.

    Attributes:
        at: Aware UTC instant.
        actor: User, subject of a token, or `os:NAME` for the command line; empty = nobody proved.
        role: Their role; empty when unknown.
        address: Where from; empty for the command line.
        action: Name of the operation, such as `create_backup`.
        target: What it was about: a path without its query, or a command.
        status: HTTP status, or exit code of a command.
        result: `ok`, or the code of an error.
        run_id: The run that came of it; empty when none.
    """

    at: datetime
    actor: str
    role: str
    address: str
    action: str
    target: str
    status: int
    result: str
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """
    One link of the chain.

    Attributes:
        number: From 1, without gaps.
        digest: SHA-256, hexadecimal, over the digest before and the event.
    """

    number: int
    event: AuditEvent
    digest: str


def seal(number: int, event: AuditEvent, previous: str) -> AuditEntry:
    """Make the next link."""
    at = event.at.astimezone(UTC).isoformat(timespec="microseconds")
    fields = {**asdict(event), "at": at, "number": number}
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(f"{previous}\n{canonical}".encode()).hexdigest()
    return AuditEntry(number, event, digest)
